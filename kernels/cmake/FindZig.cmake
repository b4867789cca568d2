# Sets CRISPCAST_ZIG, the program of PyPI's ziglang: of the Python that builds, else of python3 on the
# path.
if(EXISTS "${CRISPCAST_ZIG}")
  return()
endif()

# scikit-build-core names the Python of the build environment; by hand, python3 is on the path.
foreach(name Python_EXECUTABLE Python3_EXECUTABLE PYTHON_EXECUTABLE)
  if(NOT crispcast_python AND ${name})
    set(crispcast_python "${${name}}")
  endif()
endforeach()
if(NOT crispcast_python)
  find_program(crispcast_python NAMES python3 python REQUIRED)
endif()
execute_process(
  COMMAND "${crispcast_python}" -c
          "import os, ziglang; print(os.path.dirname(os.path.abspath(ziglang.__file__)))"
  OUTPUT_VARIABLE zig_folder OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_VARIABLE zig_error RESULT_VARIABLE zig_missing)
if(zig_missing)
  message(FATAL_ERROR "ziglang is missing from ${crispcast_python}: pip install ziglang, or set "
                      "-DCRISPCAST_SYSTEM_COMPILER=ON. ${zig_error}")
endif()
set(CRISPCAST_ZIG "${zig_folder}/zig${CMAKE_EXECUTABLE_SUFFIX}" CACHE INTERNAL "")
