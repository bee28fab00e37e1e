// What a program does for itself before anything else; libraries never do.
#pragma once

namespace nanort {

/// Descriptors 0 to 2 that the program was started without are opened, or a file would get the number and be taken for
/// standard output: reading and writing the first two fails, what is said on the third is lost. Then, on SIGINT,
/// SIGTERM and SIGHUP, unless they are ignored, temporary files (base/file.h) are removed; the program still ends by
/// the signal. Where a mapped file has been cut, which is SIGBUS, it ends with Exit::Input and a line that begins with
/// `program` and names the file.
void prepareProcess(const char *program);

} // namespace nanort
