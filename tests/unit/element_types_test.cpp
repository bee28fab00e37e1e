// The table of element types, and values of the narrow ones.
#include "kernels_templates/base/dtype.h"
#include "kernels_templates/base/reference.h"

#include <gtest/gtest.h>

namespace {

using namespace kernels;

TEST(ElementTypes, AreFoundByTheirNumbersAndNames) {
  for (size_t i = 0; i < elementTypes.size(); ++i) {
    const ElementType &type = elementTypes[i];
    EXPECT_EQ(static_cast<size_t>(type.type), i) << type.name; // infoOf() indexes by it
    EXPECT_EQ(fromName(type.name), type.type);
    EXPECT_EQ(fromSafetensors(type.safetensors), type.type);
  }
  EXPECT_EQ(fromName("f16"), std::nullopt);
  EXPECT_EQ(fromSafetensors("bf16"), std::nullopt); // as plans call it
  EXPECT_FALSE(isElementType(-1));
  EXPECT_FALSE(isElementType(elementTypes.size()));
}

TEST(ElementTypes, BytesAndElementsAgree) {
  for (const ElementType &type : elementTypes)
    for (uint64_t count : {0, 1, 7, 8, 9, 1023}) {
      EXPECT_EQ(bytesOf(type.type, count), (count * type.bits + 7) / 8) << type.name;
      EXPECT_EQ(elementsIn(type.type, bytesOf(type.type, count)), count) << type.name;
    }
  EXPECT_EQ(bytesOf(DType::F32, UINT64_MAX / 2), UINT64_MAX); // does not wrap
  EXPECT_EQ(elementsIn(DType::F32, UINT64_MAX), UINT64_MAX / 4);
}

TEST(ElementTypes, ReferencesOfActivationsRefuseOthers) {
  for (const ElementType &type : elementTypes)
    if (type.type == DType::F32 || type.type == DType::BF16) {
      size_t bytes = 0;
      byType(type.type, [&](auto zero) { bytes = sizeof zero; });
      EXPECT_EQ(bytes, sizeOf(type.type));
    } else {
      EXPECT_DEATH(byType(type.type, [](auto) {}), "an activation has no elements " + std::string(type.name));
    }
  EXPECT_DEATH(byFloat(DType::U32, "a weight", [](auto) {}), "a weight has no elements u32");
}

/// By the definition: sign, exponent of bias 7, three bits of mantissa; 0x7f and 0xff are NaN.
float e4m3ByDefinition(int bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return bits & 128 ? -magnitude : magnitude;
}

TEST(E4m3, ReadsAsDefinedAndRoundTrips) {
  for (int bits = 0; bits < 256; ++bits) {
    const e4m3 x{static_cast<uint8_t>(bits)};
    if ((bits & 127) == 127) {
      EXPECT_TRUE(std::isnan(toFloat(x)));
      EXPECT_EQ(roundToE4m3(toFloat(x)).bits, 0x7f);
      continue;
    }
    EXPECT_EQ(toFloat(x), e4m3ByDefinition(bits)) << bits;
    EXPECT_EQ(std::signbit(toFloat(x)), bits > 127) << bits; // of zero too
    EXPECT_EQ(roundToE4m3(toFloat(x)).bits, bits);
  }
}

TEST(E4m3, RoundsToNearestWithTiesToEven) {
  for (int low = 0; low < 0x7e; ++low) {
    const float a = e4m3ByDefinition(low), b = e4m3ByDefinition(low + 1), middle = (a + b) / 2; // exact
    for (float sign : {1.0f, -1.0f}) {
      const int negative = sign < 0 ? 128 : 0;
      EXPECT_EQ(roundToE4m3(sign * middle).bits, negative | (low % 2 == 0 ? low : low + 1)) << middle;
      EXPECT_EQ(roundToE4m3(sign * std::nextafter(middle, 0.0f)).bits, negative | low) << middle;
      EXPECT_EQ(roundToE4m3(sign * std::nextafter(middle, 1e9f)).bits, negative | (low + 1)) << middle;
    }
  }
}

TEST(E4m3, SaturatesAtTheLargest) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (float large : {448.0f, std::nextafter(448.0f, infinity), 464.0f, 480.0f, 1e30f, infinity}) {
    EXPECT_EQ(roundToE4m3(large).bits, 0x7e) << large;
    EXPECT_EQ(roundToE4m3(-large).bits, 0xfe) << large;
  }
  EXPECT_EQ(roundToE4m3(std::numeric_limits<float>::denorm_min()).bits, 0);
}

} // namespace
