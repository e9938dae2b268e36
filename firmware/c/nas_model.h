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
/* Outputs of a classifier; 0 for an autoencoder. */
#define NAS_CLASSES 0

/* What nas_score() says. */
#define NAS_NORMAL 0
#define NAS_ANOMALY 1
/* Not enough samples yet. */
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

/* Makes the detector ready, in memory that is its own from then on; 0, or an error.
 * `expected` is the class that the sound should be of: an index of `classes` in manifest.json; 0 for an autoencoder. */
int32_t nas_init(void *memory, size_t bytes, uint32_t expected);

/* Takes any number of samples; how many windows they completed, or an error. */
int32_t nas_push_samples(const int16_t *samples, size_t count);

/* The latest score, higher for more anomalous, and what it means; `score` may be null. */
int32_t nas_score(float *score);

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
