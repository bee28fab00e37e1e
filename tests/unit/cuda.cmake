# The CUDA back end without a device: a library stands in for the driver and for cuBLASLt.
add_library(nano_fake_cuda MODULE ${CMAKE_CURRENT_LIST_DIR}/cuda_fake.cpp ${CMAKE_CURRENT_LIST_DIR}/nvrtc_fake.cpp)
add_library(nano_fake_nvtx MODULE ${CMAKE_CURRENT_LIST_DIR}/nvtx_fake.cpp)

add_executable(cuda_test ${CMAKE_CURRENT_LIST_DIR}/cuda_test.cpp ${CMAKE_CURRENT_LIST_DIR}/cuda_executor_test.cpp
                         ${CMAKE_CURRENT_LIST_DIR}/cuda_code_test.cpp
                         ${CMAKE_CURRENT_LIST_DIR}/cuda_plan.cpp ${CMAKE_CURRENT_LIST_DIR}/cuda_tune_test.cpp
                         ${CMAKE_CURRENT_LIST_DIR}/cuda_generate_test.cpp ${CMAKE_CURRENT_LIST_DIR}/cuda_constants_test.cpp
                         ${CMAKE_CURRENT_LIST_DIR}/measure_explain_test.cpp)
target_compile_definitions(cuda_test PRIVATE NANO_FAKE_CUDA="$<TARGET_FILE:nano_fake_cuda>")
target_link_libraries(cuda_test PRIVATE tiny_plan nano_measure nano_session nano_cuda nano_weights GTest::gmock GTest::gtest_main)
add_dependencies(cuda_test nano_fake_cuda)
gtest_discover_tests(cuda_test)

add_subdirectory(gpu)
