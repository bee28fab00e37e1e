# How the IR and tool tests run; the paths come from lit.site.cfg.py, which cmake writes.
import os
import subprocess

import lit.formats

config.name = "nanocc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.nanocc_binary_dir

config.environment["PATH"] = os.pathsep.join(
    [config.nanocc_tools_dir, config.llvm_tools_dir, config.environment["PATH"]]
)
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --dump-input=fail"
# Machine code is cached under the build, never in the home of whoever runs the tests.
config.environment["NANORT_CACHE_DIR"] = os.path.join(config.nanocc_binary_dir, "cache")
for variable in ("NANORT_NVRTC", "CUDA_HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "HOME", "ASAN_OPTIONS"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]

# `%exit N command ...`: passes if the command ends with exactly N.
config.substitutions.append(("%exit", os.path.join(config.test_source_root, "Inputs", "exit.sh")))
config.substitutions.append(("%inputs", os.path.join(config.test_source_root, "Inputs")))
config.substitutions.append(("%tools", config.nanocc_tools_dir))
# Without machine code a plan does not depend on what is installed here.
config.substitutions.append(("%nanocc", "env NANORT_NVRTC=/nonexistent nanocc"))

# --debug-only is there where the compiler was built with assertions.
help_text = subprocess.run([os.path.join(config.nanocc_tools_dir, "nanocc"), "--help"], capture_output=True, text=True)
if "--debug-only" in help_text.stdout:
    config.available_features.add("assertions")
if config.nanocc_nvrtc:
    config.available_features.add("nvrtc")
