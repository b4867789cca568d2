# libcrispcast, static and shared, with its header and a CMake package. `cmake --install` puts them
# where find_package(Crispcast) finds them; docs/c-api.md shows how.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(crispcast_shared SHARED $<TARGET_OBJECTS:crispcast_core>)
add_library(crispcast_static STATIC $<TARGET_OBJECTS:crispcast_core>)
set_target_properties(
  crispcast_shared PROPERTIES OUTPUT_NAME crispcast EXPORT_NAME crispcast VERSION ${PROJECT_VERSION}
                              SOVERSION ${PROJECT_VERSION_MAJOR})
set_target_properties(crispcast_static PROPERTIES OUTPUT_NAME crispcast)
foreach(library crispcast_shared crispcast_static)
  target_link_libraries(${library} PRIVATE Threads::Threads)
  target_include_directories(
    ${library} INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/runtime/include>
                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

# The C++ library that zig links in is the library's own affair: only crispcast_* is seen outside.
if(APPLE)
  target_link_options(crispcast_shared PRIVATE "LINKER:-exported_symbol,_crispcast_*")
else()
  set(symbols "${CMAKE_CURRENT_LIST_DIR}/exported_symbols.map")
  target_link_options(crispcast_shared PRIVATE "LINKER:--version-script=${symbols}")
  set_target_properties(crispcast_shared PROPERTIES LINK_DEPENDS "${symbols}")
endif()

set(package "${CMAKE_INSTALL_LIBDIR}/cmake/Crispcast")
install(TARGETS crispcast_shared crispcast_static EXPORT CrispcastTargets)
install(FILES runtime/include/crispcast.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT CrispcastTargets NAMESPACE Crispcast:: DESTINATION ${package})
configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/CrispcastConfig.cmake.in" CrispcastConfig.cmake
  INSTALL_DESTINATION ${package})
# Before 1.0 a minor version may change the header.
write_basic_package_version_file(CrispcastConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/CrispcastConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/CrispcastConfigVersion.cmake" DESTINATION ${package})
