# CPU references, host math, and the code generator.
add_library(kernel_cases STATIC ${CMAKE_CURRENT_LIST_DIR}/kernel_cases.cpp ${CMAKE_CURRENT_LIST_DIR}/generation_cases.cpp
            ${CMAKE_CURRENT_LIST_DIR}/attention_chunk_cases.cpp ${CMAKE_CURRENT_LIST_DIR}/attention_step_cases.cpp
            ${CMAKE_CURRENT_LIST_DIR}/product_wgmma_cases.cpp ${CMAKE_CURRENT_LIST_DIR}/case_memory.cpp)
target_link_libraries(kernel_cases PUBLIC nano_kernels_cpu)

add_executable(
  references_test
  ${CMAKE_CURRENT_LIST_DIR}/references_test.cpp ${CMAKE_CURRENT_LIST_DIR}/references_attention_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/references_sample_test.cpp ${CMAKE_CURRENT_LIST_DIR}/references_host_math_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/references_generation_test.cpp)
target_link_libraries(references_test PRIVATE kernel_cases nano_host_math GTest::gtest_main)
gtest_discover_tests(references_test)

add_executable(codegen_test ${CMAKE_CURRENT_LIST_DIR}/codegen_test.cpp ${CMAKE_CURRENT_LIST_DIR}/codegen_cache_test.cpp
               ${CMAKE_CURRENT_LIST_DIR}/codegen_choices_test.cpp ${CMAKE_CURRENT_LIST_DIR}/codegen_weighing_test.cpp
               ${CMAKE_CURRENT_LIST_DIR}/kernel_test.cpp)
target_link_libraries(codegen_test PRIVATE kernel_cases nano_codegen GTest::gtest_main)
gtest_discover_tests(codegen_test)

# The tables of kernels_templates/base.
add_executable(tables_test ${CMAKE_CURRENT_LIST_DIR}/element_types_test.cpp ${CMAKE_CURRENT_LIST_DIR}/target_test.cpp)
target_link_libraries(tables_test PRIVATE nano_kernels nano_codegen GTest::gtest_main)
gtest_discover_tests(tables_test)
