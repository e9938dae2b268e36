/* One detector: 16-bit samples in, an anomaly score and a decision out.
 *
 * Call these functions from anywhere, but one at a time: a call that interrupts another is refused with NAS_ERROR_BUSY
 * and changes nothing, such as one from an interrupt while a score is being computed. The floating-point unit must be enabled, and on a Cortex-M55 so must MVE
 * (CPACR, coprocessors 10 and 11), before any of them. `nas export` writes the numbers of the model. */
#ifndef NAS_MODEL_H
#define NAS_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that nas_init() needs: arena, samples and features. */
#define NAS_MEMORY_BYTES 0
#define NAS_SAMPLE_RATE_HZ 0
/* A frame of features is made every so many samples. */
#define NAS_HOP_SAMPLES 0
/* Values of the network's input that one frame makes. */
#define NAS_FRAME_VALUES 0
/* Samples from a start, or from the first one that is not zero, to the first verdict. */
#define NAS_VERDICT_SAMPLES 0
/* Outputs of a classifier; 0 for an autoencoder. */
#define NAS_CLASSES 0

/* What nas_score() says. */
#define NAS_NORMAL 0
#define NAS_ANOMALY 1
/* Not enough sound since the start for a verdict. */
#define NAS_NO_SCORE 2
/* There is a score, but the model came without a threshold. */
#define NAS_NO_THRESHOLD 3

#define NAS_ERROR_MODEL (-1)
/* The memory is too small, or not aligned to 16 bytes. */
#define NAS_ERROR_MEMORY (-2)
/* nas_init() was not called, or failed. */
#define NAS_ERROR_NOT_READY (-3)
/* Another of these functions is running; try again when it has returned. */
#define NAS_ERROR_BUSY (-4)
/* A number of the rule is out of its range; nothing was changed. */
#define NAS_ERROR_RULE (-5)

/* When the score becomes an alarm. After every window whose score over time is above the threshold there is a vote for an
 * alarm; votes go on until that score falls to threshold - release. */
typedef struct nas_rule {
    float threshold; /* -1024 to 1024 */
    float release;   /* 0 to 1024 */
    uint32_t ready;  /* windows since the start before there is a verdict, 1 to 2^20 */
    uint32_t needed; /* votes that make an alarm, 1 to `of` ... */
    uint32_t of;     /* ... of so many latest ones, at most 32 */
    uint32_t hold;   /* windows that an alarm lasts after its last reason, at most 2^20 */
} nas_rule;

/* The linker knows it by the model's checksum, so that two exports with the same names do not link: `nas export --prefix`
 * gives each its own. */
#define nas_init nas_init_0

/* Makes the detector ready, in memory that is its own from then on; 0, or an error.
 * `expected` is the class that the sound should be of: an index of `classes` in manifest.json; 0 for an autoencoder. */
int32_t nas_init(void *memory, size_t bytes, uint32_t expected);

/* Takes any number of samples; how many windows they completed, or an error. */
int32_t nas_push_samples(const int16_t *samples, size_t count);

/* The latest score, higher for more anomalous, and whether there is an alarm by the rule below; `score` may be null. */
int32_t nas_score(float *score);

/* The rule in use, which nas_init() takes from the model; 0, NAS_NO_THRESHOLD where it has no threshold, or an error. */
int32_t nas_get_rule(nas_rule *rule);

/* Another rule from here on, until nas_init(): what was heard stays, a running alarm ends; 0, or an error. */
int32_t nas_set_rule(const nas_rule *rule);

/* Values of the network's input that were cut off at the ends of int8 since nas_init() or nas_reset(): NAS_FRAME_VALUES
 * are made every NAS_HOP_SAMPLES samples. Many are cut off where the microphone is louder than the sound that the network
 * was made for, and for as long as something very unusual is heard. 0 before nas_init(), and while another function runs. */
uint32_t nas_clipped(void);

/* Forgets all samples; 0, or an error. */
int32_t nas_reset(void);

#ifdef __cplusplus
}
#endif

#endif
