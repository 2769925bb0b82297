# The GPU operations, compiled by nvcc for real devices: objects that the program is linked with.
find_program(NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
if(NOT NVCC)
  message(FATAL_ERROR "COHORT_CUDA=ON: there is no nvcc in PATH, CUDA_HOME/bin or /usr/local/cuda/bin; install the CUDA "
                      "toolkit (12.3 or later) or build with OFF")
endif()
set(CMAKE_CUDA_COMPILER ${NVCC})
set(CMAKE_CUDA_ARCHITECTURES 80-real 89-real 90-real 100 CACHE STRING "GPUs to compile for; the last also as PTX")
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 20)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 13 has it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()

file(GLOB GPU_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/model/cuda/*.cu ${CMAKE_SOURCE_DIR}/model/cuda/platform/*.cpp
     ${CMAKE_SOURCE_DIR}/model/cuda/*.cpp)
list(REMOVE_ITEM GPU_SOURCES ${CMAKE_SOURCE_DIR}/model/cuda/no_cuda.cpp)
add_library(cohort_cuda OBJECT ${GPU_SOURCES})
find_library(CUBLASLT cublasLt HINTS ${CMAKE_CUDA_TOOLKIT_TARGET_DIR}/lib64 ${CMAKE_CUDA_TOOLKIT_ROOT_DIR}/lib64
             $ENV{CUDA_HOME}/lib64 /usr/local/cuda/lib64)
if(NOT CUBLASLT)
  message(FATAL_ERROR "COHORT_CUDA=ON: libcublasLt was not found; install cuBLAS of the CUDA toolkit (CUDA_HOME says where)")
endif()
target_link_libraries(cohort_cuda PRIVATE cohort_core INTERFACE ${CUBLASLT})
target_include_directories(cohort_cuda SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
# No contraction, as on the CPU: whether a product and a sum are fused is said in the code. fmt takes nvcc for a compiler
# without constexpr. --resource-usage prints registers, shared memory and spills of each kernel; a spill is an error.
target_compile_options(cohort_cuda PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-fmad=false;-lineinfo;--resource-usage;-Xptxas=--warn-on-spills,--warning-as-error;-DFMT_USE_CONSTEXPR=1;--Werror=all-warnings;-Xcompiler=-Wall,-Wextra,-Werror,-Wno-missing-field-initializers>")

# NCCL, whose objects stand for comm/no_nccl.cpp.
file(GLOB NCCL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/comm/nccl*.cpp)
find_library(NCCL nccl HINTS ${CMAKE_CUDA_TOOLKIT_ROOT_DIR}/lib64 $ENV{CUDA_HOME}/lib64 /usr/local/cuda/lib64)
if(NOT NCCL)
  message(FATAL_ERROR "COHORT_CUDA=ON: libnccl was not found; install NCCL (2.28 or later), or build with OFF")
endif()
target_sources(cohort_cuda PRIVATE ${NCCL_SOURCES})
target_link_libraries(cohort_cuda INTERFACE ${NCCL})
