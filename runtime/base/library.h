// Finds NVIDIA libraries that are opened at run time.
#pragma once

#include <string>
#include <vector>

namespace nanort {

struct LibrarySearch {
  std::string title;                     // for messages: "cuBLASLt"
  std::string variable;                  // environment variable that names a file and ends the search
  std::vector<std::string> names;        // file names, preferred first
  std::vector<std::string> wheelFolders; // where wheels keep it, below site-packages/nvidia
};

struct OpenedLibrary {
  std::string path;
  void *handle = nullptr; // never closed: NVIDIA's libraries do not survive it

  /// Exit::Device naming library and symbol if it is missing.
  template <typename F> void bind(const char *name, F *&function) const {
    function = reinterpret_cast<F *>(symbol(name));
  }

private:
  void *symbol(const char *name) const;
};

/// Opens $variable alone, if set. Otherwise each name in turn, at the first place that has it: installed wheels (of the
/// active virtual environment, of every python3 on the path, of the user), $CUDA_HOME/lib64, /usr/local/cuda/lib64, the
/// system's path. Errors: Exit::Device with where it was looked for and what the last failure was.
OpenedLibrary findLibrary(const LibrarySearch &search);

} // namespace nanort
