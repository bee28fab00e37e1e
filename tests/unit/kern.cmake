# Kernel families on the CPU, host math, and the code generator.
add_library(family_cases STATIC ${CMAKE_CURRENT_LIST_DIR}/family_cases.cpp ${CMAKE_CURRENT_LIST_DIR}/generation_cases.cpp
            ${CMAKE_CURRENT_LIST_DIR}/attention_prefill_cases.cpp ${CMAKE_CURRENT_LIST_DIR}/attention_decode_cases.cpp
            ${CMAKE_CURRENT_LIST_DIR}/wgemm_cases.cpp ${CMAKE_CURRENT_LIST_DIR}/case_memory.cpp)
target_link_libraries(family_cases PUBLIC nano_kernels_cpu)

add_executable(
  families_test
  ${CMAKE_CURRENT_LIST_DIR}/families_test.cpp ${CMAKE_CURRENT_LIST_DIR}/families_attention_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/families_sample_test.cpp ${CMAKE_CURRENT_LIST_DIR}/families_host_math_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/families_generation_test.cpp)
target_link_libraries(families_test PRIVATE family_cases nano_host_math GTest::gtest_main)
gtest_discover_tests(families_test)

add_executable(codegen_test ${CMAKE_CURRENT_LIST_DIR}/codegen_test.cpp ${CMAKE_CURRENT_LIST_DIR}/codegen_cache_test.cpp
               ${CMAKE_CURRENT_LIST_DIR}/codegen_choices_test.cpp ${CMAKE_CURRENT_LIST_DIR}/codegen_weighing_test.cpp
               ${CMAKE_CURRENT_LIST_DIR}/kernel_test.cpp)
target_link_libraries(codegen_test PRIVATE family_cases nano_codegen GTest::gtest_main)
gtest_discover_tests(codegen_test)

# The tables of kernels_templates/base.
add_executable(tables_test ${CMAKE_CURRENT_LIST_DIR}/element_types_test.cpp ${CMAKE_CURRENT_LIST_DIR}/target_test.cpp)
target_link_libraries(tables_test PRIVATE nano_kernels nano_codegen GTest::gtest_main)
gtest_discover_tests(tables_test)
