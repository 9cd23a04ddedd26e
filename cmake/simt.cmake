# The same kernels by the host compiler over the emulator of CUDA's execution model, as two libraries beside the addon:
# callgrad_simt.so (fast) and callgrad_simt_checked.so (every check). No CUDA toolkit takes part.
option(CALLGRAD_SIMT "Build the simt device" ON)
if(NOT CALLGRAD_SIMT)
  return()
endif()

# A .cu is CUDA for one target and C++ for these: each is included by a .cpp of its own.
function(callgrad_simt_sources out folder)
  file(GLOB kernels CONFIGURE_DEPENDS native/${folder}/*.cu)
  set(sources)
  foreach(kernel IN LISTS kernels)
    get_filename_component(name ${kernel} NAME_WE)
    set(wrapper ${CMAKE_BINARY_DIR}/${folder}/${name}.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${folder}/${name}.cu\"\n")
    list(APPEND sources ${wrapper})
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
callgrad_simt_sources(SIMT_KERNEL_SOURCES cuda)
callgrad_simt_sources(SIMT_TEST_SOURCES simt/selftest)

file(GLOB SIMT_SOURCES CONFIGURE_DEPENDS native/simt/*.cpp)
set_source_files_properties(native/simt/matrix.cpp PROPERTIES COMPILE_OPTIONS "-O3;-ffp-contract=fast")

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(SIMT_ISA -mavx2 -mfma -mbmi2)
endif()
set(SIMT_OPTIONS -g1 -fno-math-errno -fno-trapping-math -ffp-contract=off -fno-optimize-sibling-calls
  -Wno-unknown-pragmas ${SIMT_ISA})

# GCC brings libbacktrace: errors then name the source line, without it the offset in the library.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libbacktrace.a
  OUTPUT_VARIABLE SIMT_BACKTRACE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
include(CheckIncludeFileCXX)
check_include_file_cxx(backtrace.h HAVE_BACKTRACE_H)
if(HAVE_BACKTRACE_H AND IS_ABSOLUTE "${SIMT_BACKTRACE}")
  set(SIMT_HAVE_BACKTRACE ON)
endif()

# The kernels' files and the emulator's are separate: only the former are instrumented in the checked build. Beside the
# library there is a program of small right and wrong kernels, which test/native/simt.test.ts runs.
function(callgrad_simt target kernelOptions definitions)
  set(test ${target}_selftest)
  add_library(${target}_emulator OBJECT ${SIMT_SOURCES} native/core/host_memory.cpp native/core/parallel.cpp ${ARGN})
  add_library(${target}_kernels OBJECT ${SIMT_KERNEL_SOURCES})
  add_library(${test}_kernels OBJECT ${SIMT_TEST_SOURCES})
  add_library(${target} SHARED native/cuda/register.cpp $<TARGET_OBJECTS:${target}_emulator> $<TARGET_OBJECTS:${target}_kernels>)
  add_executable(${test} native/simt/selftest/main.cpp $<TARGET_OBJECTS:${target}_emulator> $<TARGET_OBJECTS:${test}_kernels>)
  foreach(part ${target}_emulator ${target}_kernels ${test}_kernels ${target} ${test})
    target_include_directories(${part} PRIVATE native)
    target_compile_options(${part} PRIVATE ${SIMT_OPTIONS})
    target_compile_definitions(${part} PRIVATE ${definitions})
  endforeach()
  foreach(part ${target}_kernels ${test}_kernels)
    target_compile_options(${part} PRIVATE ${kernelOptions})
  endforeach()
  target_compile_definitions(${target}_emulator PRIVATE CG_SOURCE_ROOT="${CMAKE_SOURCE_DIR}")
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so")
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,defs)
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/Release)
  set_target_properties(${test} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/Release)
  foreach(part ${target} ${test})
    target_link_libraries(${part} PRIVATE ${CMAKE_DL_LIBS} pthread)
    if(SIMT_HAVE_BACKTRACE)
      target_link_libraries(${part} PRIVATE ${SIMT_BACKTRACE})
    endif()
  endforeach()
  if(SIMT_HAVE_BACKTRACE)
    target_compile_definitions(${target}_emulator PRIVATE CG_HAVE_BACKTRACE)
    set(backtrace ${SIMT_BACKTRACE})
  endif()
  if(definitions)
    set(defined -D${definitions})
  endif()
  callgrad_own_kernel(${target}
    "${CMAKE_CXX_COMPILER};-std=c++20;-fPIC;-fvisibility=hidden;-Wno-psabi;-I${CMAKE_SOURCE_DIR}/native;${SIMT_OPTIONS};${kernelOptions};${defined};-x;c++"
    "${CMAKE_CXX_COMPILER};-shared;-Wl,-z,defs;$<TARGET_OBJECTS:${target}>;$<TARGET_OBJECTS:${target}_emulator>;$<TARGET_OBJECTS:${target}_kernels>;${backtrace};-ldl;-lpthread")
endfunction()

file(GLOB SIMT_FAST CONFIGURE_DEPENDS native/simt/fast/*.cpp)
file(GLOB SIMT_CHECK CONFIGURE_DEPENDS native/simt/check/*.cpp)
callgrad_simt(callgrad_simt "-O2" "" ${SIMT_FAST})

# No compiler instruments for two sanitizers at once, and the checks below are those of a second one.
if(CALLGRAD_SANITIZE)
  return()
endif()

# Every load and store of a kernel calls native/simt/check/callbacks.cpp, which stands where the sanitizer's run-time
# library would be. GCC splits vector accesses and merges the twins of a branch unless told not to.
set(SIMT_CHECKED_OPTIONS -O1 -fsanitize=thread)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND SIMT_CHECKED_OPTIONS -fno-tree-sra -fno-thread-jumps
    --param=tsan-instrument-func-entry-exit=0 --param=tsan-distinguish-volatile=1)
else()
  list(APPEND SIMT_CHECKED_OPTIONS -mllvm -tsan-instrument-func-entry-exit=0 -mllvm -tsan-distinguish-volatile=1)
endif()
callgrad_simt(callgrad_simt_checked "${SIMT_CHECKED_OPTIONS}" CG_SIMT_CHECKED ${SIMT_CHECK})
