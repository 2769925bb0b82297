# Tests on several ranks: the same assertions on each rank under mpirun, and ranks that fail.
set(MPI_FOLDER ${CMAKE_CURRENT_SOURCE_DIR}/mpi)
set(MPIRUN ${MPIEXEC_EXECUTABLE} --oversubscribe --allow-run-as-root --bind-to none)

add_executable(test_mpi ${MPI_FOLDER}/collectives_test.cpp ${MPI_FOLDER}/mpi_main.cpp)
target_link_libraries(test_mpi PRIVATE cohort_comm GTest::gtest)
foreach(ranks 1 2 3 4)
  add_test(NAME mpi.ranks_${ranks} COMMAND ${MPIRUN} -n ${ranks} $<TARGET_FILE:test_mpi>)
  # As messages of more than 2^31 bytes: cut into many.
  add_test(NAME mpi.ranks_${ranks}_cut COMMAND ${MPIRUN} -n ${ranks} $<TARGET_FILE:test_mpi> --max-message=1000)
  set_tests_properties(mpi.ranks_${ranks} mpi.ranks_${ranks}_cut PROPERTIES LABELS mpi TIMEOUT 120 PROCESSORS 2)
endforeach()

add_executable(mpi_scenario ${MPI_FOLDER}/scenario.cpp)
target_link_libraries(mpi_scenario PRIVATE cohort_comm)
add_executable(test_mpi_failure ${MPI_FOLDER}/failure_test.cpp)
target_link_libraries(test_mpi_failure PRIVATE cohort_comm GTest::gtest GTest::gtest_main)
target_compile_definitions(test_mpi_failure PRIVATE MPIRUN="${MPIEXEC_EXECUTABLE}"
                           SCENARIO="$<TARGET_FILE:mpi_scenario>")
add_dependencies(test_mpi_failure mpi_scenario)
gtest_discover_tests(test_mpi_failure TEST_PREFIX mpi. DISCOVERY_TIMEOUT 60
                     PROPERTIES TIMEOUT 120 LABELS mpi PROCESSORS 2)
