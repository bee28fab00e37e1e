// A rule of the semantic check, as a way to break a sound plan, and what of a plan such ways name.
#pragma once

#include "tests/unit/tiny_plan.h"

#include <gtest/gtest.h>

namespace nanort::test {

struct Rule {
  const char *name;
  const char *message; // part of the error
  std::function<void(Json &plan)> breaks;
  const char *target = "cpu";
};
inline void PrintTo(const Rule &rule, std::ostream *out) { *out << rule.name; }

inline Json &program(Json &plan) { return plan["programs"][0]; }
inline Json &buffer(Json &plan, const std::string &name) {
  for (Json &b : program(plan)["buffers"])
    if (b["name"] == name)
      return b;
  throw std::out_of_range(name);
}
inline size_t indexOf(Json &plan, const std::string &name) {
  return static_cast<size_t>(&buffer(plan, name) - &program(plan)["buffers"][0]);
}

/// Sound as it is, refused by the rule once broken.
inline void expectEnforced(const Rule &rule, Json plan) {
  TempDir dir;
  openPlan(dir, plan);
  rule.breaks(plan);
  const Thrown thrown = thrownBy([&] { openPlan(dir, plan); });
  EXPECT_EQ(thrown.code, 3) << thrown.message;
  EXPECT_NE(thrown.message.find(rule.message), std::string::npos) << thrown.message;
  EXPECT_NE(thrown.message.find("plan.fb: "), std::string::npos) << thrown.message;
}

} // namespace nanort::test
