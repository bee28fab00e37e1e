# Plans made without the compiler: JSON through FlatBuffers' parser, then opened, run and damaged.
find_library(NANO_FLATBUFFERS libflatbuffers.a REQUIRED)
add_library(tiny_plan STATIC ${CMAKE_CURRENT_LIST_DIR}/tiny_plan.cpp ${CMAKE_CURRENT_LIST_DIR}/program_json.cpp
                             ${CMAKE_CURRENT_LIST_DIR}/plan_files.cpp)
target_compile_definitions(tiny_plan PRIVATE NANO_PLAN_SCHEMA="${PROJECT_SOURCE_DIR}/runtime/schema/plan.fbs")
target_link_libraries(tiny_plan PUBLIC nano_plan nano_codegen ${NANO_FLATBUFFERS} PRIVATE GTest::gtest)

add_executable(rt_test
  ${CMAKE_CURRENT_LIST_DIR}/plan_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/plan_rules_test.cpp ${CMAKE_CURRENT_LIST_DIR}/plan_mutation_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/weights_test.cpp ${CMAKE_CURRENT_LIST_DIR}/cpu_executor_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/constants_test.cpp ${CMAKE_CURRENT_LIST_DIR}/quantize_test.cpp ${CMAKE_CURRENT_LIST_DIR}/plan_fits_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/session_test.cpp ${CMAKE_CURRENT_LIST_DIR}/session_generate_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/session_compare_test.cpp ${CMAKE_CURRENT_LIST_DIR}/session_memory_test.cpp ${CMAKE_CURRENT_LIST_DIR}/plan_generate_test.cpp)
target_compile_definitions(rt_test PRIVATE NANO_FROZEN_PLANS="${PROJECT_SOURCE_DIR}/tests/golden/plans")
target_link_libraries(rt_test PRIVATE tiny_plan nano_session nano_codegen GTest::gtest_main)
gtest_discover_tests(rt_test PROPERTIES TIMEOUT 300)

# A tool for tests with real plans: shuffle_plan PLAN [RUNS].
add_executable(shuffle_plan ${CMAKE_CURRENT_LIST_DIR}/shuffle_plan.cpp)
target_link_libraries(shuffle_plan PRIVATE nano_session nano_codegen)
