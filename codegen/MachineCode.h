// What a cubin says about its kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace codegen {

/// Registers of a thread, of the kernel that takes most in a cubin; nullopt if that is nowhere to be found in it.
/// Source: the attribute that cuobjdump --dump-resource-usage prints as REG (EIATTR_REGCOUNT of section .nv.info).
std::optional<uint32_t> registersOf(std::span<const char> cubin);

} // namespace codegen
