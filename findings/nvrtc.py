"""NVRTC and nvdisasm as NVIDIA's wheels install them into the environment that runs this: source to machine code to text."""
import ctypes
import pathlib
import subprocess
import sys
import tempfile

CUDA = next(pathlib.Path(sys.prefix).glob("lib/python3*/site-packages/nvidia/c*"))
_library = ctypes.CDLL(str(next(CUDA.glob("**/libnvrtc.so.1[0-9]"))))


def compile(source, arch, *options, name="kernel.cu"):
    """The status (0 is success), the log of compiler and ptxas, and the cubin; the log ends with ptxas's verbose lines."""
    program = ctypes.c_void_p()
    _library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
    words = [f"-arch={arch}", "-std=c++17", "--ptxas-options=-v", *options]
    status = _library.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*(w.encode() for w in words)))

    def fetch(what):
        size = ctypes.c_size_t()
        getattr(_library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        getattr(_library, f"nvrtcGet{what}")(program, text)
        return text.raw

    log = fetch("ProgramLog").rstrip(b"\0").decode()
    cubin = fetch("CUBIN") if status == 0 else b""
    _library.nvrtcDestroyProgram(ctypes.byref(program))
    return status, log, cubin


def sass(cubin):
    """The machine instructions, a line each: guard, opcode and operands."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([CUDA / "bin/nvdisasm", "-c", file.name], check=True, capture_output=True, text=True).stdout
    lines = (line.split("*/", 1)[1].split(";", 1)[0].strip() for line in text.splitlines() if line.lstrip().startswith("/*0"))
    return [line for line in lines if line]
