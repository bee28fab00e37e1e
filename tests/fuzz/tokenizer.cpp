// tokenizer.json: opened, and what it encodes it decodes.
#include "runtime/tokenizer/tokenizer.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::filesystem::path file = fuzz::fileOf({data, size}, "tokenizer.json");
  fuzz::expectRefusalOrSuccess([&] {
    const auto tokenizer = nanort::Tokenizer::open(file);
    // Letters, digits, whitespace, an emoji, a broken character, and a special token's text.
    const std::string text = "Why don't 1234567 \n\t na\xc3\xafve \xf0\x9f\x8e\xbb \xff<|bos|>  end";
    const std::vector<int32_t> ids = tokenizer.encode(text);
    const std::string whole = tokenizer.decode(ids);
    nanort::StreamDecoder stream(tokenizer);
    std::string pieces;
    for (int32_t id : ids)
      pieces += stream.push(id);
    pieces += stream.flush();
    if (pieces != whole)
      std::abort();
  });
  return 0;
}
