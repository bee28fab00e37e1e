// From upstream's pickled tokenizer to the Hugging Face form that the runtime reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace nanocc {

/// tokenizer.json for a pickled tiktoken.Encoding: tokens in the byte-level alphabet, special tokens as added tokens,
/// and as merge rules every split of every token into two tokens, in the order of tiktoken's ranks. The pickle is read
/// as data. `name` is for messages. Errors: Exit::Input for damage or if the highest id is not vocab - 1;
/// Exit::Unsupported for an encoding that the runtime's tokenizer could not reproduce.
std::string tokenizerJson(std::span<const std::byte> pickle, const std::string &name, uint64_t vocab);

/// A tokenizer file of either form as tokenizer.json, checked against the vocabulary's size.
std::string importTokenizer(const std::filesystem::path &path, uint64_t vocab);

} // namespace nanocc
