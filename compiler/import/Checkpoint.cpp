#include "compiler/import/Checkpoint.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

namespace nanocc {

using nanort::Exit;
using nanort::fail;
using nanort::quote;

std::unique_ptr<Checkpoint> Checkpoint::open(const std::filesystem::path &directory, std::optional<uint64_t> step) {
  std::error_code error;
  bool torch = false, huggingFace = false;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    torch |= name.starts_with("model_") && name.ends_with(".pt");
    huggingFace |= name == "config.json";
  }
  if (error)
    fail(Exit::Input, "cannot read the checkpoint directory " + quote(directory.native()) + ": " + error.message());
  if (torch)
    return openTorchCheckpoint(directory, step);
  if (!huggingFace)
    fail(Exit::Input, quote(directory.native()) +
                          " holds neither model_*.pt (nanochat) nor config.json (Hugging Face); "
                          "give the directory that has the files themselves");
  if (step)
    fail(Exit::Usage,
         quote(directory.native()) + " is a Hugging Face checkpoint, which has no steps; leave out --step");
  return openHuggingFaceCheckpoint(directory);
}

} // namespace nanocc
