"""Adds to a plan of tiny.py's model, as text, a constant whose recipe has a step of every kind but rope's."""
import re
import sys

text = open(sys.argv[1]).read()
total = int(re.search(r"constants = (\d+)", text).group(1))
text = text.replace(f"constants = {total}", f"constants = {total + 768}", 1)
constant = f"""    plan.buffer @values in constant : tensor<4x4x20xf8E4M3FN> at {total}
    plan.buffer @scales in constant : tensor<16x1xf32> at {total + 512}
    plan.constant [@values, @scales] = [8, 6] of [@q, @k] [#plan.slice<0 axis 0 from 8 to 16>,
      #plan.concatenate<[2, 2] axis 0>, #plan.cast<3 to bf16>, #plan.quantize<4 to e4m3 axis 1 group 0>,
      #plan.permute<5 view [4, 4, 16] order [1, 0, 2]>, #plan.pad<7 axis 2 by 0 and 4>]
"""
kernel = text.index("    plan.kernel")
print(text[:kernel] + constant + text[kernel:], end="")
