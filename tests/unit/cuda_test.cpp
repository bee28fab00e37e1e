// What the CUDA back end decides without a device: which driver, which image, which library.
#include "runtime/base/error.h"
#include "runtime/cuda/arch.h"
#include "runtime/cuda/cublaslt.h"
#include "runtime/cuda/driver.h"
#include "runtime/cuda/tensor_map.h"
#include "runtime/executor/executor.h"
#include "tests/unit/cuda_fake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace nanort;
using testing::HasSubstr;

namespace {

FakeCuda &fake() { return fakeCuda(NANO_FAKE_CUDA); }

class CudaDriver : public testing::Test {
protected:
  void SetUp() override {
    fake() = {};
    setenv("NANORT_CUDA_DRIVER", NANO_FAKE_CUDA, 1);
  }
  void TearDown() override { unsetenv("NANORT_CUDA_DRIVER"); }
};

TEST_F(CudaDriver, AMissingLibraryIsNoDeviceAndSaysWhatWasLookedFor) {
  setenv("NANORT_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1);
  std::string why;
  EXPECT_EQ(cudaDeviceCount(why), 0);
  EXPECT_THAT(why, HasSubstr("/nonexistent/libcuda.so.1"));
  EXPECT_THAT(why, HasSubstr("$NANORT_CUDA_DRIVER"));
  try {
    cudaDevice(0);
    FAIL();
  } catch (const Error &error) {
    EXPECT_EQ(error.code, Exit::Device);
    EXPECT_EQ(error.what(), why);
  }
}

TEST_F(CudaDriver, ALibraryThatIsNoDriverIsNamed) {
  setenv("NANORT_CUDA_DRIVER", "libm.so.6", 1);
  std::string why;
  EXPECT_EQ(cudaDeviceCount(why), 0);
  EXPECT_THAT(why, HasSubstr("libm.so.6"));
  EXPECT_THAT(why, HasSubstr("12.0 or newer"));
}

TEST_F(CudaDriver, AnOldDriverIsRefusedByItsVersion) {
  fake().driverVersion = 11080;
  std::string why;
  EXPECT_EQ(cudaDeviceCount(why), 0); // it does not even know the version that is asked for
  EXPECT_THAT(why, HasSubstr("12.0"));
}

TEST_F(CudaDriver, ADriverFor12IsAskedForItsOwnVersion) {
  fake().driverVersion = 12080; // refuses entry points of 13.0
  std::string why;
  EXPECT_EQ(cudaDeviceCount(why), 1) << why;
}

TEST_F(CudaDriver, FailureToStartIsInTheDriversWords) {
  fake().initResult = 100;
  std::string why;
  EXPECT_EQ(cudaDeviceCount(why), 0);
  EXPECT_THAT(why, HasSubstr("cuInit: fake error (CUDA_ERROR_NO_DEVICE)"));
}

TEST_F(CudaDriver, NoDeviceHasAReason) {
  fake().devices = 0;
  std::string why;
  EXPECT_EQ(cudaDeviceCount(why), 0);
  EXPECT_THAT(why, HasSubstr("no device"));
}

TEST_F(CudaDriver, DescribesADeviceAndRefusesOthers) {
  CudaDevice device = cudaDevice(0);
  EXPECT_EQ(device.name, "Fake GPU");
  EXPECT_EQ(device.arch, "sm_90");
  EXPECT_EQ(device.memory, uint64_t{1} << 30);
  for (int index : {-1, 1}) {
    try {
      cudaDevice(index);
      FAIL() << index;
    } catch (const Error &error) {
      EXPECT_EQ(error.code, Exit::Device);
      EXPECT_THAT(error.what(), HasSubstr("no CUDA device " + std::to_string(index)));
    }
  }
}

TEST_F(CudaDriver, TensorMapsArriveAsThePlanDescribesThem) {
  const auto driver = cuda::Driver::require();
  // A matrix of 300 rows of 768 elements, in boxes of 64 x 128.
  const cuda::TensorMapImage matrix =
      cuda::encode(*driver, {"x", {768, 300}, {1536}, {64, 128}, 128}, kernels::DType::BF16, 0x1000, "a launch");
  ASSERT_EQ(fake().maps.size(), 1u);
  EXPECT_EQ(matrix.words[0], 0u);
  const FakeCuda::TensorMap map = fake().maps[0];
  EXPECT_EQ(map.type, 9); // bf16
  EXPECT_EQ(map.base, 0x1000u);
  EXPECT_THAT(map.extents, testing::ElementsAre(768, 300));
  EXPECT_THAT(map.strides, testing::ElementsAre(1536)); // bytes; that of the first is its element
  EXPECT_THAT(map.box, testing::ElementsAre(64, 128));
  EXPECT_EQ(map.swizzle, 3); // of 128 bytes
  EXPECT_EQ(map.interleave, 0);
  EXPECT_EQ(map.fill, 0); // zeros outside
  for (auto [bytes, mode] : {std::pair{0u, 0}, {32u, 1}, {64u, 2}}) {
    cuda::encode(*driver, {"x", {16, 8, 4}, {64, 512}, {bytes ? bytes / 4 : 16, 2, 1}, bytes}, kernels::DType::F32,
                 0x2000, "a launch");
    EXPECT_EQ(fake().maps.back().swizzle, mode);
    EXPECT_EQ(fake().maps.back().type, 7);
  }
  try {
    cuda::encode(*driver, {"x", {768, 300}, {1530}, {64, 128}, 128}, kernels::DType::BF16, 0x1000, "decode_1, node 3");
    FAIL() << "a stride that 16 does not divide";
  } catch (const Error &error) {
    EXPECT_EQ(error.code, Exit::Cuda);
    EXPECT_THAT(error.what(), HasSubstr("decode_1, node 3"));
  }
}

TEST(CudaArch, ImagesRunWhereTheArchitectureAllows) {
  struct Case {
    const char *target, *device;
    bool fits;
  };
  for (const Case &c : std::initializer_list<Case>{
           {"sm_90a", "sm_90", true},      {"sm_90", "sm_90", true},
           {"sm_80", "sm_80", true},       {"sm_80", "sm_86", true},
           {"sm_80", "sm_89", true},       {"sm_86", "sm_80", false}, // built for a newer one
           {"sm_80", "sm_90", false},      {"sm_90a", "sm_80", false},
           {"sm_100a", "sm_100", true},    {"sm_100a", "sm_103", false}, // "a" is exactly one architecture
           {"sm_100f", "sm_103", true},    {"sm_120a", "sm_120", true},
           {"sm_100a", "sm_120", false},   {"sm_80", "sm_87", false}, // Tegra is a world of its own
           {"sm_87", "sm_87", true},       {"sm_87", "sm_89", false},
           {"compute_80", "sm_80", true}, // PTX: everything later
           {"compute_80", "sm_87", true},  {"compute_80", "sm_121", true},
           {"compute_90", "sm_89", false}, {"sm_12", "sm_120", false},
           {"cpu", "sm_90", false},        {"", "sm_90", false},
           {"sm_9xa", "sm_90", false},     {"sm_90aa", "sm_90", false}})
    EXPECT_EQ(cuda::runsOn(c.target, c.device), c.fits) << c.target << " on " << c.device;
}

TEST(CudaArch, APlansProgramsAreTriedInOrder) {
  using kernels::Feature;
  struct Program {
    const char *target;
    bool complete = true;
    kernels::Features needs = {};
  };
  const auto chosen = [](const char *device, std::initializer_list<Program> programs) {
    std::string best = "none";
    int most = 0;
    for (const Program &program : programs) {
      const int rank =
          rankOn({*cuda::parseArch(program.target), program.complete, program.needs}, *cuda::parseArch(device));
      EXPECT_TRUE(rank == 0 || rank != most) << program.target << " on " << device << ": a tie";
      if (rank > most) {
        most = rank;
        best = program.target;
      }
    }
    return best;
  };
  constexpr kernels::Features wgmma = Feature::Wgmma | Feature::Tma;
  const std::initializer_list<Program> all = {{"sm_80"},   {"sm_86"},   {"sm_90a", true, wgmma},
                                              {"sm_100a"}, {"sm_120a"}, {"compute_80"}};
  EXPECT_EQ(chosen("sm_90", all), "sm_90a");
  EXPECT_EQ(chosen("sm_80", all), "sm_80");
  EXPECT_EQ(chosen("sm_86", all), "sm_86");
  EXPECT_EQ(chosen("sm_89", all), "sm_86");      // the newest machine code that runs there
  EXPECT_EQ(chosen("sm_87", all), "compute_80"); // no machine code, so the driver's compiler before NVRTC
  EXPECT_EQ(chosen("sm_103", all), "compute_80");
  EXPECT_EQ(chosen("sm_121", all), "compute_80");
  EXPECT_EQ(chosen("sm_75", all), "none");

  // Without PTX: sources for NVRTC, as near as can be, but none whose instructions the device lacks.
  EXPECT_EQ(chosen("sm_103", {{"sm_80"}, {"sm_90a", true, wgmma}, {"sm_100a"}}), "sm_100a");
  EXPECT_EQ(chosen("sm_120", {{"sm_80"}, {"sm_90a", true, wgmma}}), "sm_80");
  EXPECT_EQ(chosen("sm_120", {{"sm_90a", true, wgmma}}), "none");
  EXPECT_EQ(chosen("sm_120", {{"sm_80"}, {"sm_90a"}}), "sm_90a");
  EXPECT_EQ(chosen("sm_89", {{"sm_80", false}, {"sm_86", false}}), "sm_86");
  EXPECT_EQ(chosen("sm_90", {{"sm_90a", false, wgmma}}), "sm_90a");
  EXPECT_EQ(chosen("sm_80", {{"sm_86", false}}), "none"); // made for more than the device has

  // Code that is there comes before code that must be compiled.
  EXPECT_EQ(chosen("sm_89", {{"sm_89", false}, {"sm_80"}}), "sm_80");
  EXPECT_EQ(chosen("sm_90", {{"sm_90a", false, wgmma}, {"compute_80"}}), "compute_80");
  EXPECT_EQ(chosen("sm_90", {{"sm_90a", false, wgmma}, {"compute_80", false}}), "sm_90a");
}

TEST(CudaArch, CompilesForExactlyTheDevice) {
  EXPECT_EQ(cuda::nativeTarget({8, 0, ""}), "sm_80");
  EXPECT_EQ(cuda::nativeTarget({8, 9, ""}), "sm_89");
  EXPECT_EQ(cuda::nativeTarget({9, 0, ""}), "sm_90a");
  EXPECT_EQ(cuda::nativeTarget({10, 0, ""}), "sm_100a");
  EXPECT_EQ(cuda::nativeTarget({12, 0, ""}), "sm_120a");
}

class CublasLtSearch : public testing::Test {
protected:
  void SetUp() override {
    folder = testing::TempDir() + "nano_cublaslt." + std::to_string(getpid());
    std::filesystem::remove_all(folder);
    unsetenv("NANORT_CUBLASLT");
  }
  void TearDown() override {
    unsetenv("NANORT_CUBLASLT");
    unsetenv("VIRTUAL_ENV");
    std::filesystem::remove_all(folder);
  }
  std::filesystem::path folder;
};

TEST_F(CublasLtSearch, TheVariableDecidesAlone) {
  setenv("NANORT_CUBLASLT", NANO_FAKE_CUDA, 1);
  EXPECT_EQ(cuda::findCublasLt(13000), NANO_FAKE_CUDA);
  setenv("NANORT_CUBLASLT", "/nonexistent/libcublasLt.so", 1);
  try {
    cuda::findCublasLt(13000);
    FAIL();
  } catch (const Error &error) {
    EXPECT_EQ(error.code, Exit::Device);
    EXPECT_THAT(error.what(), HasSubstr("$NANORT_CUBLASLT"));
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/libcublasLt.so"));
  }
}

// A library newer than the driver does not start, so it must not be preferred.
TEST_F(CublasLtSearch, WheelsComeFirstAndMatchTheDriver) {
  auto packages = folder / "lib/python3.12/site-packages/nvidia";
  for (const char *file : {"cu13/lib/libcublasLt.so.13", "cublas/lib/libcublasLt.so.12"}) {
    std::filesystem::create_directories((packages / file).parent_path());
    std::filesystem::copy_file(NANO_FAKE_CUDA, packages / file);
  }
  setenv("VIRTUAL_ENV", folder.c_str(), 1);
  EXPECT_EQ(cuda::findCublasLt(13000), packages / "cu13/lib/libcublasLt.so.13");
  EXPECT_EQ(cuda::findCublasLt(12080), packages / "cublas/lib/libcublasLt.so.12");
}

} // namespace
