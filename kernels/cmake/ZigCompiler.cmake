# Chooses PyPI's ziglang as the C++ compiler: one clang for every target, the same on every machine.
# GCC and clang differ by a third on the kernels (docs/runtime.md has the command that measures it).
#
# Set -DCRISPCAST_SYSTEM_COMPILER=ON, or CXX or CMAKE_CXX_COMPILER, to build with another compiler.

option(CRISPCAST_SYSTEM_COMPILER "Build with the system's compiler, not with ziglang" OFF)
set(CRISPCAST_TARGET "" CACHE STRING "zig target to cross-build for, e.g. aarch64-linux-musl")

if(CRISPCAST_SYSTEM_COMPILER OR DEFINED ENV{CXX} OR CMAKE_CXX_COMPILER)
  return()
endif()

include("${CMAKE_CURRENT_LIST_DIR}/FindZig.cmake")

# Without a target and a processor, zig builds for the very machine it runs on.
if(NOT CRISPCAST_TARGET AND CMAKE_HOST_SYSTEM_NAME STREQUAL "Linux")
  cmake_host_system_information(RESULT machine QUERY OS_PLATFORM)
  if(machine STREQUAL "x86_64")
    set(zig_flags "-target x86_64-linux-gnu.2.28 -mcpu=x86_64")
  elseif(machine MATCHES "aarch64|arm64")
    set(zig_flags "-target aarch64-linux-gnu.2.28 -mcpu=generic")
  endif()
elseif(CRISPCAST_TARGET)
  set(zig_flags "-target ${CRISPCAST_TARGET}")
endif()
set(CMAKE_CXX_COMPILER "${CRISPCAST_ZIG}")
set(CMAKE_CXX_COMPILER_ARG1 "c++ ${zig_flags}")

# A machine without binutils has no ar; zig brings one.
set(CMAKE_AR "${CRISPCAST_ZIG}" CACHE FILEPATH "")
set(CMAKE_RANLIB "${CRISPCAST_ZIG}" CACHE FILEPATH "")
set(CMAKE_CXX_ARCHIVE_CREATE "<CMAKE_AR> ar qc <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_APPEND "<CMAKE_AR> ar q <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "<CMAKE_RANLIB> ranlib <TARGET>")
