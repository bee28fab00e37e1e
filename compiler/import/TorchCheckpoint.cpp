// Checkpoints as upstream writes them: torch.save's zip archive of a flat name -> tensor dictionary, and a JSON file.
#include "compiler/import/Checkpoint.h"
#include "compiler/import/CheckpointJson.h"
#include "compiler/import/Pickle.h"
#include "runtime/base/error.h"
#include "runtime/base/safetensors.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <charconv>
#include <zip.h>

namespace nanocc {

using nanort::Exit;
using nanort::fail;
using nanort::quote;
using Kind = PickleValue::Kind;

namespace {

/// dtype of a storage class in a pickle.
const std::map<std::string, std::string> storageDtypes{{"torch.FloatStorage", "F32"}, {"torch.BFloat16Storage", "BF16"},
                                                       {"torch.HalfStorage", "F16"},  {"torch.DoubleStorage", "F64"},
                                                       {"torch.LongStorage", "I64"},  {"torch.IntStorage", "I32"},
                                                       {"torch.ShortStorage", "I16"}, {"torch.CharStorage", "I8"},
                                                       {"torch.ByteStorage", "U8"},   {"torch.BoolStorage", "BOOL"}};
constexpr const char *tensorCall = "torch._utils._rebuild_tensor_v2";
constexpr const char *parameterCall = "torch._utils._rebuild_parameter";
constexpr const char *dictClass = "collections.OrderedDict";

std::set<std::string> allowedGlobals() {
  std::set<std::string> names{tensorCall, parameterCall, dictClass};
  for (const auto &[storage, dtype] : storageDtypes)
    names.insert(storage);
  return names;
}

/// A stored (not compressed) zip archive.
class Archive {
public:
  explicit Archive(const std::filesystem::path &path) : path(path) {
    std::error_code error;
    fileSize = std::filesystem::file_size(path, error);
    int code = 0;
    handle = error ? nullptr : zip_open(path.c_str(), ZIP_RDONLY, &code);
    if (handle)
      return;
    zip_error_t text;
    zip_error_init_with_code(&text, code);
    const std::string reason = error ? error.message() : zip_error_strerror(&text);
    zip_error_fini(&text);
    refuse("cannot be read as the zip archive that torch.save writes (" + reason + ")");
  }
  ~Archive() {
    if (handle)
      zip_discard(handle);
  }
  Archive(const Archive &) = delete;
  Archive &operator=(const Archive &) = delete;

  [[noreturn]] void refuse(const std::string &what) const {
    fail(Exit::Input, quote(path.native()) + " " + what + "; copy or download it again");
  }

  struct Entry {
    uint64_t index, size;
  };
  std::optional<Entry> find(const std::string &name) const {
    const zip_int64_t index = zip_name_locate(handle, name.c_str(), 0);
    if (index < 0)
      return std::nullopt;
    zip_stat_t status;
    constexpr zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(handle, static_cast<zip_uint64_t>(index), 0, &status) != 0 || (status.valid & needed) != needed)
      refuse("has an entry " + quote(name) + " that cannot be read");
    if (status.comp_method != ZIP_CM_STORE || status.size != status.comp_size)
      refuse("has the compressed entry " + quote(name) + ", which torch.save does not write");
    if (status.size > fileSize)
      refuse("is truncated: the entry " + quote(name) + " says it has " + std::to_string(status.size) +
             " bytes, the file has " + std::to_string(fileSize));
    return Entry{static_cast<uint64_t>(index), status.size};
  }
  /// The name of the entry that ends in "/data.pkl", without that end.
  std::string stem() const {
    constexpr std::string_view suffix = "/data.pkl";
    for (zip_int64_t i = 0; i < zip_get_num_entries(handle, 0); ++i) {
      const char *name = zip_get_name(handle, static_cast<zip_uint64_t>(i), 0);
      if (name && std::string_view(name).ends_with(suffix))
        return std::string(name, std::string_view(name).size() - suffix.size());
    }
    refuse("has no data.pkl: it is not a file of torch.save");
  }
  /// Bytes [offset, offset + size) of an entry, in pieces. `what` for messages.
  void read(const Entry &entry, uint64_t offset, uint64_t size, const std::string &what,
            const std::function<void(std::span<const std::byte>)> &sink) const {
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t *)> file(zip_fopen_index(handle, entry.index, 0), zip_fclose);
    if (!file)
      refuse("cannot be read at " + what + " (" + zip_strerror(handle) + ")");
    if (offset > 0 && zip_fseek(file.get(), static_cast<zip_int64_t>(offset), SEEK_SET) != 0)
      refuse("cannot be read at " + what + " (" + zip_file_strerror(file.get()) + ")");
    std::vector<std::byte> piece(std::min<uint64_t>(size, Checkpoint::pieceBytes));
    while (size > 0) {
      const uint64_t want = std::min<uint64_t>(size, piece.size());
      for (uint64_t got = 0; got < want;) {
        const zip_int64_t count = zip_fread(file.get(), piece.data() + got, want - got);
        if (count <= 0)
          refuse("is damaged at " + what + " (" + (count < 0 ? zip_file_strerror(file.get()) : "it ends early") + ")");
        got += static_cast<uint64_t>(count);
      }
      sink(std::span(piece).first(want));
      size -= want;
    }
    // Reading on to the end makes the library compare the checksum.
    std::byte rest;
    if (zip_fread(file.get(), &rest, 1) < 0)
      refuse("is damaged at " + what + " (" + zip_file_strerror(file.get()) + ")");
  }

private:
  const std::filesystem::path path;
  uint64_t fileSize = 0;
  zip_t *handle = nullptr;
};

class TorchCheckpoint final : public Checkpoint {
public:
  TorchCheckpoint(const std::filesystem::path &model, const std::filesystem::path &metaFile) : archive(model) {
    file = model;
    readMeta(metaFile);
    stem = archive.stem();
    if (const std::optional<Archive::Entry> order = archive.find(stem + "/byteorder");
        order && contents(*order, "byteorder") != "little")
      fail(Exit::Unsupported,
           quote(file.native()) + " was written on a big-endian machine; save it on a little-endian one");
    const std::string text = contents(*archive.find(stem + "/data.pkl"), "data.pkl");
    readTensors(Pickle(std::as_bytes(std::span(text)), file.native(), allowedGlobals()).root());
  }

  void read(const std::string &name, const std::function<void(std::span<const std::byte>)> &sink) const override {
    const Place &place = places.at(name);
    archive.read(place.entry, place.offset, place.size, "tensor " + quote(name), sink);
  }

private:
  struct Place {
    Archive::Entry entry;
    uint64_t offset, size;
  };

  void readMeta(const std::filesystem::path &path) {
    const nlohmann::json json = nanort::readJson(path);
    meta.source = path.native();
    if (!has(json, "model_config") || !json["model_config"].is_object())
      fail(Exit::Input, quote(meta.source) + " lacks the object 'model_config'");
    const nlohmann::json &config = json["model_config"];
    meta.layers = dimensionOf(config, "n_layer", meta.source);
    meta.width = dimensionOf(config, "n_embd", meta.source);
    meta.heads = dimensionOf(config, "n_head", meta.source);
    meta.kvHeads = dimensionOf(config, "n_kv_head", meta.source);
    meta.vocab = dimensionOf(config, "vocab_size", meta.source);
    meta.sequenceLen = dimensionOf(config, "sequence_len", meta.source);
    meta.windowPattern = textOf(config, "window_pattern", meta.source);
  }

  std::string contents(const Archive::Entry &entry, const std::string &what) const {
    constexpr uint64_t limit = uint64_t{64} << 20;
    if (entry.size > limit)
      archive.refuse("has an entry " + quote(what) + " of more than 64 MiB");
    std::string text;
    archive.read(entry, 0, entry.size, what, [&](std::span<const std::byte> piece) {
      text.append(reinterpret_cast<const char *>(piece.data()), piece.size());
    });
    return text;
  }

  void readTensors(const PickleValue &root) {
    if (!root.is(Kind::Dict) && !root.isCallOf(dictClass))
      archive.refuse("holds something else than a dictionary of tensors");
    for (const auto &[key, value] : root.entries) {
      if (!key->is(Kind::Text))
        archive.refuse("has a tensor whose name is not text");
      constexpr std::string_view compiled = "_orig_mod.";
      const bool wrapped = key->text.starts_with(compiled);
      const std::string name = wrapped ? key->text.substr(compiled.size()) : key->text;
      if (infos.contains(name))
        archive.refuse("has the tensor " + quote(name) + " twice");
      readTensor(name, *value);
    }
  }

  /// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks): offset and stride in elements.
  void readTensor(const std::string &name, const PickleValue &value) {
    const PickleValue *call = &value;
    if (call->isCallOf(parameterCall) && !call->items.empty())
      call = call->items[0];
    if (!call->isCallOf(tensorCall) || call->items.size() < 4 || !call->items[0]->is(Kind::Persistent) ||
        !call->items[1]->is(Kind::Integer))
      archive.refuse("has an entry " + quote(name) + " that is not a tensor");
    TensorInfo info;
    info.shape = extents(*call->items[2], name);
    const std::vector<uint64_t> strides = extents(*call->items[3], name);
    const Storage storage = storageOf(*call->items[0], name);
    info.dtype = storage.dtype;
    const uint64_t elementBytes = *nanort::dtypeBytes(info.dtype);

    uint64_t count = 1;
    bool contiguous = strides.size() == info.shape.size();
    for (size_t i = info.shape.size(); i-- > 0 && contiguous;) {
      contiguous = info.shape[i] == 1 || strides[i] == count;
      if (__builtin_mul_overflow(count, info.shape[i], &count))
        refuseTensor(name, info, "has more elements than 64 bits count");
    }
    if (!contiguous && std::find(info.shape.begin(), info.shape.end(), 0) == info.shape.end())
      fail(Exit::Unsupported, quote(file.native()) + ": tensor " + quote(name) + " is not contiguous (shape " +
                                  nanort::shapeText(info.shape) + ", strides " + nanort::shapeText(strides) +
                                  "); save it with .contiguous()");
    const int64_t offset = call->items[1]->integer;
    if (offset < 0 || static_cast<uint64_t>(offset) > storage.elements ||
        count > storage.elements - static_cast<uint64_t>(offset))
      refuseTensor(name, info, "goes past its storage of " + std::to_string(storage.elements) + " elements");
    places[name] = {storage.entry, static_cast<uint64_t>(offset) * elementBytes, count * elementBytes};
    infos[name] = std::move(info);
  }

  [[noreturn]] void refuseTensor(const std::string &name, const TensorInfo &info, const std::string &what) const {
    archive.refuse("is damaged: tensor " + quote(name) + " of shape " + nanort::shapeText(info.shape) + " " + what);
  }

  std::vector<uint64_t> extents(const PickleValue &tuple, const std::string &name) const {
    std::vector<uint64_t> values;
    for (const PickleValue *item : tuple.items) {
      if (!item->is(Kind::Integer) || item->integer < 0)
        archive.refuse("has a tensor " + quote(name) + " whose shape or stride is not a non-negative integer");
      values.push_back(static_cast<uint64_t>(item->integer));
    }
    return values;
  }

  struct Storage {
    std::string dtype;
    Archive::Entry entry;
    uint64_t elements;
  };
  /// ("storage", storage class, key, device, elements)
  Storage storageOf(const PickleValue &persistent, const std::string &name) const {
    const PickleValue &id = *persistent.target;
    const bool formed = id.is(Kind::Tuple) && id.items.size() == 5 && id.items[1]->is(Kind::Global) &&
                        id.items[2]->is(Kind::Text) && id.items[4]->is(Kind::Integer) && id.items[4]->integer >= 0;
    const auto dtype = formed ? storageDtypes.find(id.items[1]->text) : storageDtypes.end();
    if (dtype == storageDtypes.end())
      archive.refuse("has a tensor " + quote(name) + " with a malformed storage");
    const std::optional<Archive::Entry> entry = archive.find(stem + "/data/" + id.items[2]->text);
    if (!entry)
      archive.refuse("lacks the entry 'data/" + id.items[2]->text + "' of tensor " + quote(name));
    const uint64_t elements = static_cast<uint64_t>(id.items[4]->integer);
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(elements, *nanort::dtypeBytes(dtype->second), &bytes) || bytes != entry->size)
      archive.refuse("is damaged: the storage of tensor " + quote(name) + " should have " + std::to_string(elements) +
                     " elements of " + dtype->second + " but has " + std::to_string(entry->size) + " bytes");
    return {dtype->second, *entry, elements};
  }

  Archive archive;
  std::string stem;
  std::map<std::string, Place> places;
};

} // namespace

std::unique_ptr<Checkpoint> openTorchCheckpoint(const std::filesystem::path &directory, std::optional<uint64_t> step) {
  constexpr std::string_view prefix = "model_", suffix = ".pt";
  std::optional<uint64_t> newest;
  std::string digits;
  for (const auto &entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix) || !name.ends_with(suffix))
      continue;
    const std::string number = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size() || (step && value != *step))
      continue;
    if (!newest || value > *newest) {
      newest = value;
      digits = number;
    }
  }
  if (!newest)
    fail(Exit::Input, quote(directory.native()) + " has no model_N.pt" +
                          (step ? " of step " + std::to_string(*step) + "; leave out --step for the newest" : ""));
  auto checkpoint = std::make_unique<TorchCheckpoint>(directory / ("model_" + digits + ".pt"),
                                                      directory / ("meta_" + digits + ".json"));
  return checkpoint;
}

} // namespace nanocc
