# `cpack` in the build folder: Debian packages cohort (the program) and libcohort-dev (find_package). Build them with the preset `package`:
# its kernels run on other processors than the builder's, and its bytes are a function of the source.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cohort)
set(CPACK_PACKAGE_CONTACT "The cohort developers <cohort@localhost>")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_COMPONENTS_ALL runtime dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "reinforcement learning post-training of language models
 Samples groups of completions, scores them with rewards, and moves the model towards the better ones (GRPO and its relatives). One
 program, started by mpirun, driven by one YAML file, that reads and writes Hugging Face folders and needs no Python.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME cohort)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION science)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS "openmpi-bin, ca-certificates")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "python3, bash-completion")

set(CPACK_COMPONENT_DEV_DESCRIPTION "cohort's libraries and headers
 For programs that embed the trainer, and for rewards in shared libraries: find_package(cohort).")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libcohort-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "g++, cmake, libopenmpi-dev, libyaml-cpp-dev, nlohmann-json3-dev, libfmt-dev, libutf8proc-dev, libpcre2-dev, \
libxxhash-dev, zlib1g-dev, libhwloc-dev, libgmp-dev, libseccomp-dev, libcurl4-openssl-dev, libcld2-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS cohort)
include(CPack)
