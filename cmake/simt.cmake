# The same kernels by the host compiler over the emulator of CUDA's execution model, as two libraries beside the addon:
# callgrad_simt.so (fast) and callgrad_simt_checked.so (every check). No CUDA toolkit takes part.
option(CALLGRAD_SIMT "Build the simt device" ON)
if(NOT CALLGRAD_SIMT)
  return()
endif()

# A .cu is CUDA for one target and C++ for these: each is included by a .cpp of its own.
file(GLOB SIMT_KERNELS CONFIGURE_DEPENDS native/cuda/*.cu)
set(SIMT_KERNEL_SOURCES)
foreach(kernel IN LISTS SIMT_KERNELS)
  get_filename_component(name ${kernel} NAME_WE)
  set(wrapper ${CMAKE_BINARY_DIR}/simt/${name}.cpp)
  file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"cuda/${name}.cu\"\n")
  list(APPEND SIMT_KERNEL_SOURCES ${wrapper})
endforeach()

file(GLOB SIMT_SOURCES CONFIGURE_DEPENDS native/simt/*.cpp)
set(SIMT_HOST_SOURCES ${SIMT_SOURCES} native/cuda/register.cpp native/core/parallel.cpp)
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

# The kernels' files and the emulator's are separate: only the former are instrumented in the checked build.
function(callgrad_simt target kernelOptions)
  add_library(${target}_kernels OBJECT ${SIMT_KERNEL_SOURCES})
  add_library(${target} SHARED ${SIMT_HOST_SOURCES} ${ARGN} $<TARGET_OBJECTS:${target}_kernels>)
  foreach(part ${target}_kernels ${target})
    target_include_directories(${part} PRIVATE native)
    target_compile_options(${part} PRIVATE ${SIMT_OPTIONS})
  endforeach()
  target_compile_options(${target}_kernels PRIVATE ${kernelOptions})
  target_compile_definitions(${target} PRIVATE CG_SOURCE_ROOT="${CMAKE_SOURCE_DIR}")
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/Release)
  target_link_libraries(${target} PRIVATE ${CMAKE_DL_LIBS} pthread)
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,defs)
  if(HAVE_BACKTRACE_H AND IS_ABSOLUTE "${SIMT_BACKTRACE}")
    target_compile_definitions(${target} PRIVATE CG_HAVE_BACKTRACE)
    target_link_libraries(${target} PRIVATE ${SIMT_BACKTRACE})
  endif()
endfunction()

callgrad_simt(callgrad_simt "-O2")
