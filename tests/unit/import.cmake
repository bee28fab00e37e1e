# Base library, tokenizer, and (where the compiler is built) the importer and the compiler's options.
add_executable(base_test ${CMAKE_CURRENT_LIST_DIR}/base_file_test.cpp ${CMAKE_CURRENT_LIST_DIR}/base_safetensors_test.cpp
                         ${CMAKE_CURRENT_LIST_DIR}/base_text_test.cpp)
target_link_libraries(base_test nano_base GTest::gtest_main)
gtest_discover_tests(base_test)

add_executable(tokenizer_test ${CMAKE_CURRENT_LIST_DIR}/tokenizer_test.cpp)
target_link_libraries(tokenizer_test nano_tokenizer GTest::gtest_main)
gtest_discover_tests(tokenizer_test)

if(TARGET nano_import)
  add_executable(import_test ${CMAKE_CURRENT_LIST_DIR}/checkpoint_config_test.cpp ${CMAKE_CURRENT_LIST_DIR}/checkpoint_files.cpp
                             ${CMAKE_CURRENT_LIST_DIR}/checkpoint_test.cpp ${CMAKE_CURRENT_LIST_DIR}/checkpoint_tokenizer_test.cpp
                             ${CMAKE_CURRENT_LIST_DIR}/checkpoint_torch_test.cpp ${CMAKE_CURRENT_LIST_DIR}/pickle_test.cpp)
  target_link_libraries(import_test nano_import nano_tokenizer GTest::gtest_main zip)
  target_compile_definitions(import_test PRIVATE LEXICON="${PROJECT_SOURCE_DIR}/examples/lexicon")
  gtest_discover_tests(import_test DISCOVERY_TIMEOUT 60)
endif()

if(TARGET nano_compiler)
  add_executable(options_test ${CMAKE_CURRENT_LIST_DIR}/options_test.cpp)
  target_link_libraries(options_test PRIVATE nano_compiler GTest::gtest_main)
  gtest_discover_tests(options_test)
endif()
