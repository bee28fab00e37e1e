#include "runtime/base/safetensors.h"
#include "runtime/base/error.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nanort {

using Json = nlohmann::json;

std::optional<uint64_t> dtypeBytes(const std::string &dtype) {
  static constexpr std::array<std::pair<std::string_view, uint64_t>, 18> sizes{{{"BOOL", 1},
                                                                                {"U8", 1},
                                                                                {"I8", 1},
                                                                                {"F8_E4M3", 1},
                                                                                {"F8_E5M2", 1},
                                                                                {"F8_E8M0", 1},
                                                                                {"U16", 2},
                                                                                {"I16", 2},
                                                                                {"F16", 2},
                                                                                {"BF16", 2},
                                                                                {"U32", 4},
                                                                                {"I32", 4},
                                                                                {"F32", 4},
                                                                                {"U64", 8},
                                                                                {"I64", 8},
                                                                                {"F64", 8},
                                                                                {"C64", 8},
                                                                                {"C128", 16}}};
  for (const auto &[name, bytes] : sizes)
    if (name == dtype)
      return bytes;
  return std::nullopt;
}

uint64_t Tensor::elements() const {
  uint64_t count = 1;
  for (const uint64_t extent : shape)
    count *= extent;
  return count;
}

/// Bytes of a tensor, nullopt if they do not fit 64 bits. A zero extent makes the product zero whatever the others are.
static std::optional<uint64_t> byteSize(const std::vector<uint64_t> &shape, uint64_t element) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end())
    return 0;
  uint64_t bytes = element;
  for (const uint64_t extent : shape)
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      return std::nullopt;
  return bytes;
}

namespace {

/// Reads the header of one file; every complaint names the file.
class HeaderReader {
public:
  explicit HeaderReader(const MappedFile &file) : file(file), bytes(file.bytes()) {}

  void read(std::map<std::string, Tensor> &tensors, std::map<std::string, std::string> &metadata) {
    const Json header = parseHeader();
    for (const auto &[name, entry] : header.items()) {
      if (name == "__metadata__")
        readMetadata(entry, metadata);
      else
        tensors.emplace(name, readTensor(name, entry));
    }
    checkCoverage();
  }

private:
  [[noreturn]] void refuse(const std::string &what) const {
    fail(Exit::Input,
         quote(file.path().native()) + " is not a valid safetensors file: " + what + "; write or download it again");
  }

  Json parseHeader() {
    constexpr uint64_t limit = 100'000'000; // the format's own
    if (bytes.size() < 8)
      refuse("it has " + std::to_string(bytes.size()) + " bytes, fewer than the 8 of the header's length");
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i)
      length = length << 8 | std::to_integer<uint64_t>(bytes[static_cast<size_t>(i)]);
    if (length > limit || length > bytes.size() - 8)
      refuse("the header's length " + std::to_string(length) + " exceeds " +
             (length > limit ? "the format's limit of 100000000" : "the file's " + std::to_string(bytes.size())) +
             " bytes");
    const std::string_view text(reinterpret_cast<const char *>(bytes.data()) + 8, length);
    if (text.empty() || text[0] != '{')
      refuse("the header does not begin with '{'");
    buffer = bytes.subspan(8 + length);
    constexpr int depth = 4; // header, tensor, list of numbers
    try {
      return parseJson(text, depth);
    } catch (const std::exception &error) {
      refuse(std::string("its header: ") + error.what());
    }
  }

  void readMetadata(const Json &entry, std::map<std::string, std::string> &metadata) const {
    if (!entry.is_object())
      refuse("__metadata__ is not an object");
    for (const auto &[key, value] : entry.items()) {
      if (!value.is_string())
        refuse("__metadata__ " + quote(key) + " is not a string");
      metadata.emplace(key, value.get<std::string>());
    }
  }

  Tensor readTensor(const std::string &name, const Json &entry) {
    const std::string tensor = "tensor " + quote(name);
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
      refuse(tensor + " lacks dtype, shape or data_offsets");
    if (!entry["dtype"].is_string())
      refuse(tensor + ": dtype is not a string");
    Tensor result;
    result.dtype = entry["dtype"].get<std::string>();
    result.shape = numbers(entry["shape"], tensor + ": shape");
    const std::vector<uint64_t> offsets = numbers(entry["data_offsets"], tensor + ": data_offsets");
    const std::optional<uint64_t> element = dtypeBytes(result.dtype);
    if (!element)
      refuse(tensor + " has the unknown dtype " + quote(result.dtype));
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > buffer.size())
      refuse(tensor + " has data_offsets " + shapeText(offsets) + " in " + std::to_string(buffer.size()) +
             " bytes of data");
    const std::optional<uint64_t> size = byteSize(result.shape, *element);
    if (size != offsets[1] - offsets[0])
      refuse(tensor + " of " + result.dtype + " " + shapeText(result.shape) + " needs " +
             (size ? std::to_string(*size) : "more than 2^64") + " bytes but has data_offsets " + shapeText(offsets));
    result.data = buffer.subspan(offsets[0], *size);
    ranges.push_back({offsets[0], offsets[1], name});
    return result;
  }

  std::vector<uint64_t> numbers(const Json &list, const std::string &what) const {
    if (!list.is_array())
      refuse(what + " is not a list");
    std::vector<uint64_t> values;
    for (const Json &value : list) {
      if (!value.is_number_unsigned())
        refuse(what + " holds something else than non-negative integers");
      values.push_back(value.get<uint64_t>());
    }
    return values;
  }

  /// The format wants every byte of the data in exactly one tensor.
  void checkCoverage() {
    std::sort(ranges.begin(), ranges.end());
    uint64_t end = 0;
    const std::string *previous = nullptr;
    for (const Range &range : ranges) {
      if (range.begin < end)
        refuse("tensors " + quote(*previous) + " and " + quote(range.name) + " overlap at data offset " +
               std::to_string(range.begin));
      if (range.begin > end)
        refuse("no tensor covers the data from offset " + std::to_string(end) + " to " + std::to_string(range.begin));
      end = range.end;
      previous = &range.name;
    }
    if (end != buffer.size())
      refuse("no tensor covers the last " + std::to_string(buffer.size() - end) + " bytes of data");
  }

  struct Range {
    uint64_t begin, end;
    std::string name;
    auto operator<=>(const Range &) const = default;
  };
  const MappedFile &file;
  std::span<const std::byte> bytes, buffer;
  std::vector<Range> ranges;
};

} // namespace

Safetensors Safetensors::open(const std::filesystem::path &path) {
  Safetensors result;
  result.file = MappedFile::open(path);
  HeaderReader(*result.file).read(result.entries, result.meta);
  return result;
}

const Tensor *Safetensors::find(const std::string &name) const {
  const auto entry = entries.find(name);
  return entry == entries.end() ? nullptr : &entry->second;
}

const Tensor &Safetensors::at(const std::string &name) const {
  if (const Tensor *tensor = find(name))
    return *tensor;
  std::vector<std::string> names;
  for (const auto &[known, tensor] : entries)
    names.push_back(known);
  std::string message = quote(path().native()) + " has no tensor " + quote(name);
  const char *separator = "; the nearest: ";
  for (const std::string &near : nearest(name, names)) {
    message += separator + quote(near);
    separator = ", ";
  }
  fail(Exit::Input, message + (names.empty() ? "; it has none at all" : ""));
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path &path, const std::vector<Declaration> &tensors,
                                     const std::map<std::string, std::string> &metadata)
    : file(path) {
  Json header = Json::object();
  if (!metadata.empty())
    header["__metadata__"] = metadata;
  for (const Declaration &tensor : tensors) {
    const std::optional<uint64_t> element = dtypeBytes(tensor.dtype);
    const std::optional<uint64_t> size = element ? byteSize(tensor.shape, *element) : std::nullopt;
    const uint64_t begin = expected;
    if (!size || __builtin_add_overflow(expected, *size, &expected) || header.contains(tensor.name))
      fail(Exit::Internal, "cannot declare tensor " + quote(tensor.name) + " of " + tensor.dtype + " " +
                               shapeText(tensor.shape) + " in " + quote(path.native()) + ": twice, or its size");
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, expected}}};
  }
  // Invalid UTF-8 in a name becomes U+FFFD; spaces fill up so that the data is aligned for any copy.
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr size_t alignment = 64;
  text.resize((text.size() + 8 + alignment - 1) / alignment * alignment - 8, ' ');
  std::string length;
  for (int i = 0; i < 8; ++i)
    length += static_cast<char>(static_cast<uint64_t>(text.size()) >> 8 * i & 0xff);
  file.write(length + text);
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::write(std::span<const std::byte> piece) {
  file.write(piece.data(), piece.size());
  written += piece.size();
}

void SafetensorsWriter::commit() {
  if (written != expected)
    fail(Exit::Internal,
         "safetensors: " + std::to_string(written) + " bytes written, " + std::to_string(expected) + " declared");
  file.commit();
}

} // namespace nanort
