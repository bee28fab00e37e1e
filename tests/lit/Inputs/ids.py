"""Rows of token ids as a safetensors file: ids.py '[[1, 2], [3, -1]]' FILE, tensor 'ids', I32."""
import json
import struct
import sys

rows = json.loads(sys.argv[1])
data = b"".join(struct.pack("<i", id) for row in rows for id in row)
header = json.dumps({"ids": {"dtype": "I32", "shape": [len(rows), len(rows[0])], "data_offsets": [0, len(data)]}}).encode()
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header + data)
