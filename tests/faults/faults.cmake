# cohort_with_faults: the program of the very same objects, with faults that tests ask for (inject.cpp).
set(FAULTS_FOLDER ${CMAKE_CURRENT_SOURCE_DIR}/faults)
set(FAULT_POINTS
    "WATCHDOG_ENTER=_ZN6cohort8Watchdog5enterEPKclNSt6chrono8durationIlSt5ratioILl1ELl1000EEEE"
    "ROLL_CALL_ENTER=_ZN6cohort8RollCall5enterERKNS_4CallESt4spanIKlLm18446744073709551615EENSt6chrono10time_pointINS7_3_V212steady_clockENS7_8durationIlSt5ratioILl1ELl1000000000EEEEEE"
    "TRANSFERS_SEND=_ZN6cohort12MpiTransfers4sendESt4spanIKSt4byteLm18446744073709551615EEii"
    "UPDATER=_ZN6cohort7UpdaterC1ERNS_6PolicyEPKS1_RNS_9OptimizerERKNS_6ConfigERNS_4CommE"
    "REWARD_ROW=_ZNK6cohort9RewardSet3rowESt4spanIKNS_7VerdictELm18446744073709551615EE"
    "MAKE_COMM=_ZN6cohort9make_commEPNS_8LastSeenE"
    "FS_RENAME=_ZNSt10filesystem6renameERKNS_7__cxx114pathES3_"
    "FS_REMOVE=_ZNSt10filesystem6removeERKNS_7__cxx114pathE"
    "FS_REMOVE_ALL=_ZNSt10filesystem10remove_allERKNS_7__cxx114pathE")
add_executable(cohort_with_faults ${CMAKE_SOURCE_DIR}/cli/main.cpp ${FAULTS_FOLDER}/inject.cpp)
target_link_libraries(cohort_with_faults PRIVATE cohort_cli)
foreach(point ${FAULT_POINTS})
  string(REGEX REPLACE "=.*" "" name "${point}")
  string(REGEX REPLACE ".*=" "" symbol "${point}")
  target_compile_definitions(cohort_with_faults PRIVATE ${name}="${symbol}")
  target_link_options(cohort_with_faults PRIVATE -Wl,--wrap=${symbol})
endforeach()
target_link_options(cohort_with_faults PRIVATE -Wl,--wrap=write -Wl,--wrap=fsync)

file(GLOB FAULT_TESTS CONFIGURE_DEPENDS ${FAULTS_FOLDER}/*_test.cpp)
add_executable(test_faults ${FAULT_TESTS})
target_link_libraries(test_faults PRIVATE cohort_trainer GTest::gtest GTest::gtest_main)
target_compile_definitions(test_faults PRIVATE COHORT_BINARY="$<TARGET_FILE:cohort>" COHORT_WITH_FAULTS="$<TARGET_FILE:cohort_with_faults>")
cohort_optimize(test_faults -O1)
cohort_precompile(test_faults REUSE_FROM test_headers)
add_dependencies(test_faults cohort cohort_with_faults)
# Each of these makes its reference run once, so a group of them is one test. scripts/faults.sh runs what is not in Quick.
foreach(group Matrix Calls Histories Stop Slow Eval Stall Disk Memory Stealing Resume)
  add_test(NAME faults.${group} COMMAND test_faults --gtest_filter=*Quick*${group}*)
  set_tests_properties(faults.${group} PROPERTIES TIMEOUT 600 LABELS faults PROCESSORS 2)
endforeach()
# A link between hosts that is cut: scripts/test_link.sh, three minutes.
