#include "codegen/MachineCode.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace codegen {

namespace {

// ELF for 64 bits, as far as it is used here. Nothing is taken for granted: a damaged file gives nullopt.
struct FileHeader {
  unsigned char ident[16];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, programs, sections;
  uint32_t flags;
  uint16_t size, programSize, programCount, sectionSize, sectionCount, names;
};
struct Section {
  uint32_t name, type;
  uint64_t flags, address, offset, size;
  uint32_t link, info;
  uint64_t alignment, entrySize;
};

template <typename T> std::optional<T> read(std::span<const char> bytes, uint64_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T))
    return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::span<const char> part(std::span<const char> bytes, uint64_t at, uint64_t size) {
  return at <= bytes.size() && size <= bytes.size() - at ? bytes.subspan(at, size) : std::span<const char>();
}

/// Attributes follow one another: a format, a kind and 16 bits, which are a size if the format says so.
std::optional<uint32_t> mostRegisters(std::span<const char> attributes) {
  constexpr unsigned char sized = 4, registerCount = 0x2f; // a symbol and the count
  std::optional<uint32_t> most;
  for (uint64_t at = 0; auto size = read<uint16_t>(attributes, at + 2);) {
    if (static_cast<unsigned char>(attributes[at]) != sized)
      size = 0;
    else if (static_cast<unsigned char>(attributes[at + 1]) == registerCount)
      if (auto count = read<uint32_t>(attributes, at + 8))
        most = std::max(most.value_or(0), *count);
    at += 4 + uint64_t{*size};
  }
  return most;
}

} // namespace

std::optional<uint32_t> registersOf(std::span<const char> cubin) {
  const auto header = read<FileHeader>(cubin, 0);
  if (!header || std::memcmp(header->ident, "\177ELF", 4) != 0 || header->sectionSize < sizeof(Section))
    return std::nullopt;
  auto section = [&](uint64_t i) { return read<Section>(cubin, header->sections + i * header->sectionSize); };
  const auto names = section(header->names);
  if (!names)
    return std::nullopt;
  for (uint64_t i = 0; i < header->sectionCount; ++i) {
    constexpr std::string_view wanted(".nv.info\0", 9); // others are of one kernel each, ".nv.info.NAME"
    const auto info = section(i);
    if (!info)
      return std::nullopt;
    const auto name = part(cubin, names->offset + info->name, wanted.size());
    if (std::string_view(name.data(), name.size()) == wanted)
      return mostRegisters(part(cubin, info->offset, info->size));
  }
  return std::nullopt;
}

} // namespace codegen
