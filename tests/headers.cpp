// What the precompiled headers of the tests are made with (tests/CMakeLists.txt).
