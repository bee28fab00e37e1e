// Plans of tests as files, what they hold, and what is thrown at those that are wrong.
#pragma once

#include "runtime/plan/plan.h"
#include "tests/unit/base_errors.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace nanort::test {

using Json = nlohmann::ordered_json; // a union's type must come before its value

/// A plan file's bytes with this build's schema hash, and the right digest if `seal`.
std::vector<uint8_t> serialize(const Json &plan, bool seal = true);

using TempDir = nanotest::TemporaryDirectory;

void writeFile(const std::filesystem::path &path, const std::vector<uint8_t> &bytes);
std::shared_ptr<const Plan> openPlan(const TempDir &dir, const Json &plan);

/// What this build knows by the name of a program's kernel.
const ::kernels::Kernel &kernelOf(const Json &kernel);
/// The program's kernel becomes another of its meaning, with its first parameters: the reference if `engine` is empty.
void describe(Json &kernel, const std::string &engine);

/// Node indices of an entry whose kernel computes `meaning`.
std::vector<size_t> nodesOf(const Json &program, size_t entry, const std::string &meaning);

/// What `body` throws: the exit code and message of its Error; fails the test if it throws nothing.
struct Thrown {
  int code = 0;
  std::string message;
};
Thrown thrownBy(const std::function<void()> &body);

} // namespace nanort::test
