/* Runs a model that `vctool export` wrote, in real time: C99, POSIX threads, ONNX Runtime.
 *
 *   cc -std=c99 -O2 host.c -o host -L ORT/lib -lonnxruntime -lpthread -lm
 *   ./host model.onnx VOICE BLOCK [INSTANCES [hurry]] < in.f32 > out.f32   mono float32, its rate
 *
 * The first part is a library of five functions, the last a program that runs it over a pipe.
 * One session serves all streams. Each stream has a worker thread, since ONNX Runtime allocates
 * memory in every run and must not do so where sound may not wait: stream_process only copies
 * to and from two rings, takes no lock, allocates nothing, and may be given any block size.
 * It is late by stream_latency samples; what the worker did not finish in time is silence, is
 * counted, and is dropped when it comes, so that the delay stays what it is.               */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The few members of OrtApi that are needed, by their place in it: members are never moved, only
 * added, and these are of its versions 1 and 2. So no header is needed, and any release will do. */
typedef void (*Any)(void);
typedef struct { const Any *(*get_api)(uint32_t); const char *(*version)(void); } OrtApiBase;
extern const OrtApiBase *OrtGetApiBase(void);
typedef void *Status;
enum { INT64_DIMS = 3, FLOAT = 1, ARENA = 1, DEFAULT = 0, WARNING = 2, CONTROLS = 8 };
#define ORT(host, place, type) ((type)(host)->api[place])

typedef struct {
    const Any *api;
    void *env, *options, *session, *memory, *allocator, *metadata;
    int rate, granule, latency, state, controls;
    char names[CONTROLS][64];
    int sizes[CONTROLS];
} Host;

typedef struct {
    Host *host;
    int unit, late, names, turn;         /* samples a run; delay of the queue; inputs */
    const char *inputs[CONTROLS + 2];
    void *values[2][CONTROLS + 2], *outputs[2][2];
    float *in, *out, *wave, *made, *state[2], *told;
    uint32_t size, in_write, in_read, out_write, out_read, owed; /* rings: counts, never wrapped */
    unsigned long underruns, bad;        /* blocks that came late; samples that were no numbers */
    sem_t work, done;
    pthread_t worker;
    int stop;
} Stream;

static void check(Host *host, Status status) {
    if (!status) return;
    fprintf(stderr, "host: %s\n", ORT(host, 2, const char *(*)(Status))(status));
    exit(2);
}

/* Look up what the model says of itself; the caller frees it. NULL if it does not say. */
static char *told(Host *h, const char *key) {
    char *text = NULL, *copy = NULL;
    check(h, ORT(h, 116, Status(*)(void *, void *, const char *, char **))(h->metadata, h->allocator,
                                                                          key, &text));
    if (text) {
        copy = malloc(strlen(text) + 1);
        if (copy) strcpy(copy, text);
        check(h, ORT(h, 76, Status(*)(void *, void *))(h->allocator, text));
    }
    return copy;
}

static int number(Host *h, const char *key) {
    char *text = told(h, key);
    int value = text ? atoi(text) : 0;
    free(text);
    return value;
}

/* Open a model, for any number of streams. */
Host *host_open(const char *path) {
    Host *h = calloc(1, sizeof *h);
    char *text, *line;
    if (!h || !(h->api = OrtGetApiBase()->get_api(2))) return NULL;
    check(h, ORT(h, 3, Status(*)(int, const char *, void **))(WARNING, "host", &h->env));
    check(h, ORT(h, 10, Status(*)(void **))(&h->options));
    check(h, ORT(h, 24, Status(*)(void *, int))(h->options, 1)); /* a run stays on its thread */
    check(h, ORT(h, 25, Status(*)(void *, int))(h->options, 1));
    check(h, ORT(h, 7, Status(*)(void *, const char *, void *, void **))(h->env, path, h->options,
                                                                         &h->session));
    check(h, ORT(h, 69, Status(*)(int, int, void **))(ARENA, DEFAULT, &h->memory));
    check(h, ORT(h, 78, Status(*)(void **))(&h->allocator));
    check(h, ORT(h, 111, Status(*)(void *, void **))(h->session, &h->metadata));
    h->rate = number(h, "rate");
    h->granule = number(h, "granule");
    h->latency = number(h, "latency");
    h->state = number(h, "state");
    if (number(h, "vctool") != 1 || h->granule < 1 || h->state < 1) {
        fprintf(stderr, "host: %s: not exported by vctool, or by another version\n", path);
        exit(2);
    }
    text = told(h, "controls");
    for (line = text ? strtok(text, "\n") : NULL; line && h->controls < CONTROLS; line = strtok(NULL, "\n"))
        if (sscanf(line, "%63s %d", h->names[h->controls], &h->sizes[h->controls]) == 2) h->controls++;
    free(text);
    return h;
}

static void *tensor(Host *h, float *data, int samples, int dims) {
    int64_t shape[INT64_DIMS] = {1, 1, 1};
    void *value = NULL;
    shape[dims - 1] = samples;
    check(h, ORT(h, 49, Status(*)(void *, void *, size_t, const int64_t *, size_t, int, void **))(
                 h->memory, data, samples * sizeof *data, shape, dims, FLOAT, &value));
    return value;
}

static uint32_t load(uint32_t *count) { return __atomic_load_n(count, __ATOMIC_ACQUIRE); }
static void advance(uint32_t *count, uint32_t by) { __atomic_store_n(count, *count + by, __ATOMIC_RELEASE); }

/* Compute whatever is complete. */
static void *worker(void *given) {
    Stream *s = given;
    Host *h = s->host;
    static const char *const outputs[2] = {"wave_out", "state_out"};
    for (;;) {
        while (sem_wait(&s->work)) {}
        if (__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) return NULL;
        while (load(&s->in_write) - s->in_read >= (uint32_t)s->unit) {
            for (int i = 0; i < s->unit; i++) s->wave[i] = s->in[(s->in_read + i) & (s->size - 1)];
            check(h, ORT(h, 9, Status(*)(void *, void *, const char *const *, void *const *, size_t,
                                         const char *const *, size_t, void **))(
                         h->session, NULL, s->inputs, s->values[s->turn], s->names, outputs, 2,
                         s->outputs[s->turn]));
            s->turn ^= 1; /* the state that came out goes in next */
            for (int i = 0; i < s->unit; i++) s->out[(s->out_write + i) & (s->size - 1)] = s->made[i];
            advance(&s->out_write, s->unit);
            advance(&s->in_read, s->unit);
        }
        sem_post(&s->done);
    }
}

/* Begin a stream in a voice of the model, for blocks of up to so many samples; NULL if it has no
 * such voice or there is no memory. With `fixed`, all blocks have that size, and wait less.    */
Stream *stream_new(Host *h, const char *voice, int block, int fixed) {
    Stream *s = calloc(1, sizeof *s);
    char key[256], *text, *next;
    int total = 0, common = block, rest, i, turn;
    snprintf(key, sizeof key, "voice.%s", voice);
    text = told(h, key);
    if (!s || !text || block < 1) return NULL;
    s->host = h;
    s->unit = h->granule * (block / h->granule > 1 ? block / h->granule : 1);
    for (rest = s->unit; rest; i = common % rest, common = rest, rest = i) {}
    s->late = block + s->unit - (fixed ? common : 1); /* a block's time for the worker */
    for (s->size = 1; s->size < (uint32_t)(2 * (s->late + s->unit + block)); s->size *= 2) {}
    for (i = 0; i < h->controls; i++) total += h->sizes[i];
    s->in = calloc(s->size, sizeof *s->in);
    s->out = calloc(s->size, sizeof *s->out);
    s->wave = calloc(s->unit, sizeof *s->wave);
    s->made = calloc(s->unit, sizeof *s->made);
    s->told = calloc(total + 1, sizeof *s->told);
    for (i = 0; i < 2; i++) s->state[i] = calloc(h->state, sizeof(float));
    if (!s->in || !s->out || !s->wave || !s->made || !s->told || !s->state[0] || !s->state[1]) return NULL;
    for (i = 0, next = text; i < total; i++) s->told[i] = strtof(next, &next);
    free(text);
    s->names = h->controls + 2;
    for (turn = 0; turn < 2; turn++) {
        float *at = s->told;
        s->values[turn][0] = tensor(h, s->wave, s->unit, 3);
        s->inputs[0] = "wave";
        for (i = 0; i < h->controls; at += h->sizes[i++]) {
            s->values[turn][i + 1] = tensor(h, at, h->sizes[i], 2);
            s->inputs[i + 1] = h->names[i];
        }
        s->values[turn][i + 1] = tensor(h, s->state[turn], h->state, 2);
        s->inputs[i + 1] = "state";
        s->outputs[turn][0] = tensor(h, s->made, s->unit, 3);
        s->outputs[turn][1] = tensor(h, s->state[turn ^ 1], h->state, 2);
    }
    s->out_write = s->late; /* silence */
    if (sem_init(&s->work, 0, 0) || sem_init(&s->done, 0, 0) ||
        pthread_create(&s->worker, NULL, worker, s)) return NULL;
    return s;
}

int stream_latency(const Stream *s) { return s->host->latency + s->late; }

/* The audio side: n samples in, n samples out. */
void stream_process(Stream *s, const float *in, float *out, int n) {
    uint32_t ready;
    for (int i = 0; i < n; i++) {
        int good = in[i] == in[i] && fabsf(in[i]) < 1e4f;
        s->bad += !good;
        s->in[(s->in_write + i) & (s->size - 1)] = good ? in[i] : 0.0f;
    }
    advance(&s->in_write, n);
    ready = load(&s->out_write) - s->out_read;
    if (s->owed) { /* what came too late is dropped */
        uint32_t dropped = s->owed < ready ? s->owed : ready;
        s->owed -= dropped, ready -= dropped, s->out_read += dropped;
    }
    if (ready < (uint32_t)n) s->underruns++, s->owed += n - ready;
    else ready = n;
    for (int i = 0; i < n; i++)
        out[i] = (uint32_t)i < ready ? s->out[(s->out_read + i) & (s->size - 1)] : 0.0f;
    s->out_read += ready;
    sem_post(&s->work);
}

/* Offline only: wait until the worker has done all that it can after a block. */
static void stream_wait(Stream *s) { while (sem_wait(&s->done)) {} }

static void stream_end(Stream *s) {
    __atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
    sem_post(&s->work);
    pthread_join(s->worker, NULL);
}

int main(int count, char **words) {
    int block = count > 3 ? atoi(words[3]) : 0, many = count > 4 ? atoi(words[4]) : 1, same = 1, i, n;
    Host *host = block > 0 && many > 0 ? host_open(words[1]) : NULL;
    Stream **s = calloc(many > 0 ? many : 1, sizeof *s);
    float *in = malloc((block + 1) * sizeof *in), *out = malloc((block + 1) * sizeof *out), *other = malloc((block + 1) * sizeof *out);
    if (!host || !s || !in || !out || !other) return fprintf(stderr, "usage: host model.onnx VOICE BLOCK [INSTANCES [hurry]]\n"), 2;
    for (i = 0; i < many; i++)
        if (!(s[i] = stream_new(host, words[2], block, 1)))
            return fprintf(stderr, "host: %s: no such voice, or no memory\n", words[2]), 2;
    while ((n = (int)fread(in, sizeof *in, block, stdin)) > 0) {
        for (i = 0; i < many; i++) { /* all at once, and the first is heard */
            stream_process(s[i], in, i ? other : out, n);
            same = same && (!i || !memcmp(other, out, n * sizeof *out));
        }
        for (i = 0; i < many && count < 6; i++) stream_wait(s[i]); /* in a hurry, workers come late */
        if (fwrite(out, sizeof *out, n, stdout) != (size_t)n) return perror("host"), 2;
    }
    fprintf(stderr, "rate %d latency %d underruns %lu bad %lu instances %d same %d\n", host->rate,
            stream_latency(s[0]), s[0]->underruns, s[0]->bad, many, same);
    for (i = 0; i < many; i++) stream_end(s[i]);
    return fflush(stdout) ? 2 : 0;
}
