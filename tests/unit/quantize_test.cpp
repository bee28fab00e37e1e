// E4M3 by its definition: every code, every midpoint between two, and what lies beyond.
#include "runtime/weights/quantize.h"

#include <array>
#include <cmath>
#include <gtest/gtest.h>
#include <vector>

using kernels::e4m3;
using kernels::roundToE4m3;
using kernels::toFloat;

namespace {

/// Sign, exponent with bias 7, mantissa of three bits; the exponent 0 is that of 1 without the leading one.
double meaning(uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return code & 0x80 ? -magnitude : magnitude;
}

TEST(E4m3, EveryCodeHasItsValueAndComesBack) {
  for (int code = 0; code < 256; ++code) {
    const float value = toFloat(e4m3{static_cast<uint8_t>(code)});
    if ((code & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(value)) << code;
      EXPECT_EQ(roundToE4m3(value).bits, 0x7f);
      continue;
    }
    EXPECT_EQ(value, meaning(static_cast<uint8_t>(code))) << code;
    EXPECT_EQ(std::signbit(value), (code & 0x80) != 0) << code;
    EXPECT_EQ(roundToE4m3(value).bits, code);
  }
  EXPECT_EQ(toFloat(e4m3{0x7e}), 448.0f);
}

TEST(E4m3, RoundsToTheNearestAndTiesToEven) {
  for (int code = 0; code < 0x7e; ++code) {
    const float low = toFloat(e4m3{static_cast<uint8_t>(code)}), high = toFloat(e4m3{static_cast<uint8_t>(code + 1)});
    const float middle = (low + high) / 2; // exact: both have four bits
    for (float sign : {1.0f, -1.0f}) {
      const int negative = sign < 0 ? 0x80 : 0;
      EXPECT_EQ(roundToE4m3(sign * middle).bits, negative | (code + code % 2)) << code;
      EXPECT_EQ(roundToE4m3(sign * std::nextafter(middle, 0.0f)).bits, negative | code) << code;
      EXPECT_EQ(roundToE4m3(sign * std::nextafter(middle, 1000.0f)).bits, negative | (code + 1)) << code;
    }
  }
}

TEST(E4m3, SaturatesAndKeepsTheSignOfZero) {
  for (float large : {448.0f, 449.0f, 464.0f, 480.0f, 1e30f, INFINITY}) {
    EXPECT_EQ(roundToE4m3(large).bits, 0x7e) << large;
    EXPECT_EQ(roundToE4m3(-large).bits, 0xfe) << large;
  }
  EXPECT_EQ(roundToE4m3(0.0f).bits, 0);
  EXPECT_EQ(roundToE4m3(-0.0f).bits, 0x80);
  EXPECT_EQ(roundToE4m3(1e-30f).bits, 0);
  EXPECT_EQ(roundToE4m3(NAN).bits, 0x7f);
  EXPECT_EQ(roundToE4m3(-NAN).bits, 0x7f);
}

TEST(QuantizeE4m3, ScalesALargestMagnitudeTo448) {
  for (float largest : {0x1p-100f, 0.37f, 1.0f, 448.0f, 3e38f}) {
    const std::array<float, 4> group = {largest / 2, -largest, 0, largest / 3};
    const float scale = nanort::scaleForE4m3(group);
    EXPECT_EQ(scale, largest / 448);
    std::array<e4m3, 4> codes;
    nanort::quantizeToE4m3(group, scale, codes);
    EXPECT_EQ(codes[1].bits, 0xfe) << largest;
    EXPECT_EQ(codes[0].bits, 0x76) << largest; // 224
    EXPECT_EQ(codes[2].bits, 0);
  }
}

// Readers of codes need not look for NaN among them: what they are multiplied by is NaN already.
TEST(QuantizeE4m3, AGroupThatIsNotFiniteHasTheScaleNaN) {
  for (float odd : {NAN, INFINITY, -INFINITY})
    EXPECT_TRUE(std::isnan(nanort::scaleForE4m3(std::array{1.0f, odd, 2.0f}))) << odd;
}

TEST(QuantizeE4m3, ZerosHaveTheScaleOne) {
  for (float nothing : {0.0f, -0.0f, 0x1p-149f}) { // the last: its scale would be 0
    const std::vector<float> group(5, nothing);
    EXPECT_EQ(nanort::scaleForE4m3(group), 1.0f);
    std::vector<e4m3> codes(5);
    nanort::quantizeToE4m3(group, 1, codes);
    for (e4m3 code : codes)
      EXPECT_EQ(toFloat(code), 0.0f);
  }
}

} // namespace
