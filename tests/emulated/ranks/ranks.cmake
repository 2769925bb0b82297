# Tests of what ranks do between GPUs: as threads in every flavour, and under mpirun in the plain one.
file(GLOB RANK_TEST_SOURCES CONFIGURE_DEPENDS ${HERE}/ranks/*_test.cpp)
list(REMOVE_ITEM RANK_TEST_SOURCES ${HERE}/ranks/gpu_faults_test.cpp)
# Of trainer/, what works on GPUs, instrumented as the tests are.
set(RANK_SOURCES ${RANK_TEST_SOURCES} ${CMAKE_SOURCE_DIR}/trainer/device_reduction.cpp
    ${CMAKE_SOURCE_DIR}/trainer/gradient_sum.cpp ${CMAKE_SOURCE_DIR}/trainer/gradient_tree.cpp)

function(emulated_rank_tests name label)
  set(test test_emulated_ranks_${name})
  add_executable(${test} ${RANK_SOURCES})
  target_link_libraries(${test} PRIVATE gpu_${name} cohort_comm cohort_model GTest::gtest GTest::gtest_main)
  add_dependencies(emulated_programs ${test})
  gtest_discover_tests(${test} TEST_PREFIX ${label}. DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300 LABELS ${label})
endfunction()

# With supervisors and messages as the program has them.
function(emulated_gpu_faults)
  add_executable(emulated_gpu_ranks ${HERE}/programs/gpu_ranks.cpp)
  target_link_libraries(emulated_gpu_ranks PRIVATE gpu_plain cohort_cli)
  add_executable(test_emulated_faults ${HERE}/ranks/gpu_faults_test.cpp)
  target_link_libraries(test_emulated_faults PRIVATE cohort_core GTest::gtest GTest::gtest_main)
  target_compile_definitions(test_emulated_faults PRIVATE GPU_RANKS="$<TARGET_FILE:emulated_gpu_ranks>"
                             MPIRUN="${MPIEXEC_EXECUTABLE}" COHORT_BINARY="")
  add_dependencies(test_emulated_faults emulated_gpu_ranks)
  add_dependencies(emulated_programs test_emulated_faults)
  gtest_discover_tests(test_emulated_faults TEST_PREFIX emulated. DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 300 LABELS emulated PROCESSORS 2)
endfunction()
