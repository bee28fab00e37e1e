/* nanort: runs models that nanocc compiled. The C interface of libnanort.so.
 *
 * Every function returns 0 or one of the exit codes of the tools (2 arguments, 3 input, 4 unsupported, 5 device, 6
 * memory, 8 CUDA, 1 a bug); nanort_error() then says what was wrong. Handles are not thread-safe; different handles may
 * be used by different threads. NULL handles may be closed. */
#ifndef NANORT_NANORT_H
#define NANORT_NANORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nanort_plan nanort_plan;       /* a verified plan file */
typedef struct nanort_session nanort_session; /* a model on a device, with its cache */

/* The message of this thread's last failed call, one line; "" if none has failed. */
const char *nanort_error(void);

/* Maps and verifies a plan. */
int nanort_open(const char *path, nanort_plan **plan);
void nanort_close(nanort_plan *plan); /* sessions made from it stay valid */

/* Whether every program of the plan fits into `memory` bytes, with an allowance for a CUDA context (code 6 if not), and
 * its weights file belongs to it. */
int nanort_check(const nanort_plan *plan, uint64_t memory);

/* All zero is a valid choice. */
typedef struct nanort_options {
  const char *device;    /* "auto", "cpu", "cuda", "cuda:N"; NULL: "auto" */
  const char *program;   /* a target such as "sm_90a"; NULL: what fits the device */
  const char *weights;   /* a file; NULL: the one that the plan names */
  const char *tokenizer; /* a file; NULL: the one that the plan names, if any */
  int threads;           /* of CPU work; 0: all cores */
} nanort_options;

int nanort_session_open(const nanort_plan *plan, const nanort_options *options, nanort_session **session);
void nanort_session_close(nanort_session *session);

typedef struct nanort_stats {
  const char *device;                              /* valid as long as the session */
  uint32_t rows, positions, vocab;                 /* batch, tokens a row can hold, ids */
  uint64_t constants, kv, state, arena, workspace; /* bytes requested from the device */
  double load_ms;
} nanort_stats;
int nanort_get_stats(const nanort_session *session, nanort_stats *stats);

/* How the next tokens are chosen: temperature 0 takes the most likely one; top_k <= 0 considers all. */
int nanort_set_sampling(nanort_session *session, float temperature, int32_t top_k, uint64_t seed);

/* Appends `count` tokens to a row (0 <= row < rows) and gives the next one, which is not yet part of the row. */
int nanort_prefill(nanort_session *session, uint32_t row, const int32_t *ids, size_t count, int32_t *next);

/* Appends ids[r] to each row r < count with ids[r] >= 0 and gives its next token in next[r]; others are left alone. */
int nanort_step(nanort_session *session, const int32_t *ids, uint32_t count, int32_t *next);

/* Empties a row. */
int nanort_reset(nanort_session *session, uint32_t row);

/* Ids of a text, without special tokens: at most `capacity` are written, *count is how many there are. */
int nanort_encode(const nanort_session *session, const char *text, int32_t *ids, size_t capacity, size_t *count);

/* The id of a special token such as "<|bos|>". */
int nanort_special(const nanort_session *session, const char *name, int32_t *id);

/* The text of ids, ended by a zero; at most `capacity` bytes are written, *size is its length without the zero. */
int nanort_decode(const nanort_session *session, const int32_t *ids, size_t count, char *text, size_t capacity,
                  size_t *size);

#ifdef __cplusplus
}
#endif
#endif
