// On the emulator: tests/emulator/device.h.
#pragma once
