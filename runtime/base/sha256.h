// SHA-256 (FIPS 180-4) by libmd.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace nanort {

using Sha256 = std::array<uint8_t, 32>;
Sha256 sha256(std::span<const std::byte> data);
std::string toHex(const Sha256 &digest);

} // namespace nanort
