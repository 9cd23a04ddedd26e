# The kernels by nvcc, where there is one: CUDACXX names it, CUDAToolkit_ROOT the toolkit whose runtime is linked in,
# NVCC_APPEND_FLAGS adds to every compilation. Sets CUDA_OBJECTS and CUDA_LIBRARIES for the addon.
#
# The code holds machine code for the architectures below, and PTX that a driver compiles for the others.
set(CALLGRAD_CUDA_ARCHITECTURES "80;90a;120" CACHE STRING "Architectures to compile machine code for; compute_80 PTX comes on top")
set(CALLGRAD_CUDART cudart_static CACHE STRING "CUDA runtime: cudart_static, or cudart, which other libraries of the process then share")
option(CALLGRAD_CUDA "Build the cuda device where nvcc is found" ON)
set(CUDA_OBJECTS)
set(CUDA_LIBRARIES)
if(NOT CALLGRAD_CUDA)
  return()
endif()

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "nvcc was not found: the cuda device will say so")
  return()
endif()

set(CMAKE_CUDA_ARCHITECTURES OFF) # flags of our own: "90a" is newer than some CMakes
set(CMAKE_CUDA_RUNTIME_LIBRARY None) # CUDA::cudart_static is linked below, once
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION) # CMake 3.25.1 does not know that nvcc has it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()

set(CUDA_CODE -gencode=arch=compute_80,code=compute_80)
foreach(architecture IN LISTS CALLGRAD_CUDA_ARCHITECTURES)
  list(APPEND CUDA_CODE -gencode=arch=compute_${architecture},code=sm_${architecture})
endforeach()

file(GLOB CUDA_KERNEL_SOURCES CONFIGURE_DEPENDS native/cuda/*.cu)
add_library(callgrad_cuda OBJECT ${CUDA_KERNEL_SOURCES} native/cuda/runtime_cuda.cpp native/cuda/register.cpp)
target_include_directories(callgrad_cuda PRIVATE native ${CUDAToolkit_INCLUDE_DIRS})
target_compile_options(callgrad_cuda PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:${CUDA_CODE};-O3;-lineinfo;--expt-relaxed-constexpr;-Xcompiler=-fvisibility=hidden,-Wno-psabi>")
set(CUDA_COMPILE ${CMAKE_CUDA_COMPILER} -std=c++20 ${CUDA_CODE} -O3 -lineinfo --expt-relaxed-constexpr
  -Xcompiler=-fPIC,-fvisibility=hidden,-Wno-psabi -I${CMAKE_SOURCE_DIR}/native)
set(CUDA_OBJECTS $<TARGET_OBJECTS:callgrad_cuda>)
set(CUDA_LIBRARIES CUDA::${CALLGRAD_CUDART})
