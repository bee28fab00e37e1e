/* Answers one question with a compiled chat model: embed PLAN QUESTION */
#include <nanort/nanort.h>

#include <stdio.h>
#include <stdlib.h>

static void check(int status) {
  if (status != 0) {
    fprintf(stderr, "embed: %s\n", nanort_error());
    exit(status);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: embed PLAN QUESTION\n");
    return 2;
  }
  nanort_plan *plan = NULL;
  nanort_session *session = NULL;
  check(nanort_open(argv[1], &plan));
  check(nanort_session_open(plan, NULL, &session));

  nanort_stats stats;
  check(nanort_get_stats(session, &stats));
  fprintf(stderr, "%s, %u tokens of context, loaded in %.0f ms\n", stats.device, stats.positions, stats.load_ms);

  int32_t bos, user_start, user_end, assistant_start, assistant_end;
  check(nanort_special(session, "<|bos|>", &bos));
  check(nanort_special(session, "<|user_start|>", &user_start));
  check(nanort_special(session, "<|user_end|>", &user_end));
  check(nanort_special(session, "<|assistant_start|>", &assistant_start));
  check(nanort_special(session, "<|assistant_end|>", &assistant_end));

  /* bos, user_start, the question, user_end, assistant_start */
  size_t count = 0;
  check(nanort_encode(session, argv[2], NULL, 0, &count));
  int32_t *prompt = malloc((count + 4) * sizeof *prompt);
  if (!prompt)
    return 6;
  check(nanort_encode(session, argv[2], prompt + 2, count, &count));
  prompt[0] = bos;
  prompt[1] = user_start;
  prompt[count + 2] = user_end;
  prompt[count + 3] = assistant_start;

  int32_t token;
  check(nanort_set_sampling(session, 0.0f, 0, 42)); /* always the most likely token */
  check(nanort_prefill(session, 0, prompt, count + 4, &token));
  for (size_t length = count + 4; token != assistant_end && token != bos && length < stats.positions; ++length) {
    char text[256];
    size_t size;
    check(nanort_decode(session, &token, 1, text, sizeof text, &size));
    fputs(text, stdout);
    fflush(stdout);
    check(nanort_step(session, &token, 1, &token));
  }
  putchar('\n');

  free(prompt);
  nanort_session_close(session);
  nanort_close(plan);
  return 0;
}
