# `cmake --install` and packages. Component runtime: the program and what it comes with; dev: find_package(cohort).
include(GNUInstallDirs)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # cpack would build the tests first
set(COHORT_INCLUDES ${CMAKE_INSTALL_INCLUDEDIR}/cohort)
set(COHORT_CMAKE ${CMAKE_INSTALL_LIBDIR}/cmake/cohort)

install(TARGETS cohort RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/cohort COMPONENT runtime)
install(FILES scripts/slurm/train.sbatch DESTINATION ${CMAKE_INSTALL_DATADIR}/cohort/slurm COMPONENT runtime)
install(PROGRAMS scripts/rewards/math_verify_server.py DESTINATION ${CMAKE_INSTALL_DATADIR}/cohort/rewards COMPONENT runtime)
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime USE_SOURCE_PERMISSIONS)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT runtime)  # where Debian looks for it
# What the program prints of itself, by the program that is installed.
foreach(page man:man/man1/cohort.1 "completion bash:bash-completion/completions/cohort" "completion zsh:zsh/vendor-completions/_cohort")
  string(REGEX REPLACE ":.*" "" command "${page}")
  string(REGEX REPLACE ".*:" "" file "${page}")
  string(REPLACE " " ";" command "${command}")
  install(CODE "
    set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/${file}\")
    get_filename_component(folder \"\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    execute_process(COMMAND \"${CMAKE_BINARY_DIR}/cohort\" ${command} OUTPUT_FILE \"\${file}\" COMMAND_ERROR_IS_FATAL ANY)
    file(CHMOD \"\${file}\" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
    message(STATUS \"Installing: \${file}\")" COMPONENT runtime)
endforeach()

# The libraries, and the headers that these reach: all else is not for others.
set(COHORT_PUBLIC_HEADERS core/check.h core/files.h core/json.h comm/comm.h comm/signals.h comm/watchdog.h model/exec.h model/device.h reward/reward.h
    reward/outside/abi.h rollout/generator.h trainer/config.h trainer/data_check.h trainer/dataset.h trainer/evaluate.h trainer/grpo.h trainer/model_setup.h
    trainer/sft.h)
set(COHORT_LIBRARIES core text formats ops model comm reward rollout trainer)
add_library(cohort_reward_abi INTERFACE)
target_include_directories(cohort_reward_abi INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
foreach(library ${COHORT_LIBRARIES} reward_abi)
  set_target_properties(cohort_${library} PROPERTIES EXPORT_NAME ${library})
  install(TARGETS cohort_${library} EXPORT cohort ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/cohort COMPONENT dev)
endforeach()
target_include_directories(cohort_core INTERFACE $<INSTALL_INTERFACE:${COHORT_INCLUDES}>)
install(EXPORT cohort NAMESPACE cohort:: FILE targets.cmake DESTINATION ${COHORT_CMAKE} COMPONENT dev)
include(CMakePackageConfigHelpers)
configure_package_config_file(cmake/config.cmake.in ${CMAKE_BINARY_DIR}/cohort-config.cmake INSTALL_DESTINATION ${COHORT_CMAKE})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cohort-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cohort-config.cmake ${CMAKE_BINARY_DIR}/cohort-config-version.cmake cmake/dependencies.cmake DESTINATION ${COHORT_CMAKE} COMPONENT dev)
install(CODE "set(source \"${CMAKE_SOURCE_DIR}\")\nset(headers ${COHORT_PUBLIC_HEADERS})\nset(target \"${COHORT_INCLUDES}\")" COMPONENT dev)
install(SCRIPT cmake/install_headers.cmake COMPONENT dev)

include(cmake/package.cmake)
