#include "runtime/base/library.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <sstream>

namespace fs = std::filesystem;

namespace nanort {

namespace {

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// site-packages and dist-packages below `prefix`/lib/python3*, in a fixed order.
void addPackages(const fs::path &prefix, std::vector<fs::path> &out) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const fs::directory_entry &entry : fs::directory_iterator(prefix / "lib", ignored))
    if (entry.path().filename().string().starts_with("python3"))
      for (const char *folder : {"site-packages", "dist-packages"})
        if (fs::is_directory(entry.path() / folder / "nvidia", ignored))
          found.push_back(entry.path() / folder / "nvidia");
  std::sort(found.rbegin(), found.rend());
  out.insert(out.end(), found.begin(), found.end());
}

std::vector<fs::path> wheelRoots() {
  std::vector<fs::path> roots;
  if (std::string active = environment("VIRTUAL_ENV"); !active.empty())
    addPackages(active, roots);
  std::stringstream path(environment("PATH"));
  std::error_code ignored;
  for (std::string folder; std::getline(path, folder, ':');)
    if (!folder.empty() && fs::exists(fs::path(folder) / "python3", ignored))
      addPackages(fs::path(folder).parent_path(), roots);
  if (std::string home = environment("HOME"); !home.empty())
    addPackages(fs::path(home) / ".local", roots);
  return roots;
}

} // namespace

void *OpenedLibrary::symbol(const char *name) const {
  void *address = dlsym(handle, name);
  if (!address)
    fail(Exit::Device, path + " has no " + name + ": install a newer version");
  return address;
}

OpenedLibrary findLibrary(const LibrarySearch &search) {
  std::string reason;
  auto open = [&](const std::string &path) -> void * {
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
      reason = dlerror();
    return handle;
  };

  if (std::string chosen = environment(search.variable.c_str()); !chosen.empty()) {
    if (void *handle = open(chosen))
      return {chosen, handle};
    fail(Exit::Device, search.title + ": cannot open $" + search.variable + ": " + reason);
  }

  std::vector<fs::path> folders;
  for (const fs::path &root : wheelRoots())
    for (const std::string &folder : search.wheelFolders)
      folders.push_back(root / folder);
  if (std::string home = environment("CUDA_HOME"); !home.empty())
    folders.push_back(fs::path(home) / "lib64");
  folders.push_back("/usr/local/cuda/lib64");

  std::error_code ignored;
  for (const std::string &name : search.names) {
    for (const fs::path &folder : folders)
      if (fs::exists(folder / name, ignored))
        if (void *handle = open(folder / name))
          return {folder / name, handle};
    if (void *handle = open(name))
      return {name, handle};
  }

  fail(Exit::Device, search.title + " (" + search.names.front() +
                         ") not found in installed wheels, $CUDA_HOME, /usr/local/cuda or the system's path: " +
                         reason + "; install it or name the file in $" + search.variable);
}

} // namespace nanort
