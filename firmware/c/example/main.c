/* Judges a sound file on an emulated board: reads 16-bit mono WAV through semihosting, prints the score, and ends
 * with 0 for a normal sound, 1 for an anomalous one, 2 where something is wrong. */
#include "nas_model.h"

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_READ = 0x06, SYS_GET_CMDLINE = 0x15, SYS_EXIT_EXTENDED = 0x20 };
enum { WAV_HEADER_BYTES = 44 };

static int semihosting(int operation, const void *parameters)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = parameters;
    __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void print(const char *text)
{
    semihosting(SYS_WRITE0, text);
}

void leave(int code)
{
    const uint32_t parameters[2] = {0x20026, (uint32_t)code};
    for (;;)
        semihosting(SYS_EXIT_EXTENDED, parameters);
}

/* Bytes that were read. */
static uint32_t read_file(int file, void *to, uint32_t bytes)
{
    const uint32_t parameters[3] = {(uint32_t)file, (uint32_t)to, bytes};
    return bytes - (uint32_t)semihosting(SYS_READ, parameters);
}

static uint32_t number(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    while (count-- > 0)
        value = value << 8 | bytes[count];
    return value;
}

/* Whether the header is the plain one of 44 bytes, of sound that the model was made for. */
static int is_heard(const uint8_t *header)
{
    return number(header, 4) == 0x46464952 /* RIFF */ && number(header + 20, 2) == 1 /* PCM */
        && number(header + 22, 2) == 1 && number(header + 24, 4) == NAS_SAMPLE_RATE_HZ && number(header + 34, 2) == 16
        && number(header + 36, 4) == 0x61746164 /* data */;
}

static int open_file(void)
{
    static char name[512];
    uint32_t command[2] = {(uint32_t)name, sizeof name};
    if (semihosting(SYS_GET_CMDLINE, command) != 0)
        return -1;
    uint32_t length = 0;
    while (name[length] != 0)
        length++;
    const uint32_t parameters[3] = {(uint32_t)name, 1 /* "rb" */, length};
    return semihosting(SYS_OPEN, parameters);
}

/* Six places; the score of a sound is far below 2^31 millionths. */
static void print_score(float score)
{
    char text[24];
    int end = sizeof text - 1;
    int32_t micro = (int32_t)(score * 1e6f);
    uint32_t rest = micro < 0 ? 0u - (uint32_t)micro : (uint32_t)micro;
    text[end] = 0;
    for (int digit = 0; digit < 7 || rest > 0; digit++) {
        if (digit == 6)
            text[--end] = '.';
        text[--end] = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (micro < 0)
        text[--end] = '-';
    print("score ");
    print(text + end);
}

static void print_count(uint32_t count)
{
    char text[12];
    int end = sizeof text - 1;
    text[end] = 0;
    do {
        text[--end] = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    print(text + end);
}

int main(void)
{
    static _Alignas(16) uint8_t memory[NAS_MEMORY_BYTES];
    static int16_t samples[NAS_HOP_SAMPLES];

    if (nas_init(memory, sizeof memory, 0) != 0) {
        print("the model cannot be run\n");
        return 2;
    }
    uint8_t header[WAV_HEADER_BYTES];
    int file = open_file();
    if (file < 0 || read_file(file, header, sizeof header) != sizeof header) {
        print("the sound file cannot be read\n");
        return 2;
    }
    if (!is_heard(header)) {
        print("the sound is not a plain WAV file of one channel, 16 bits and ");
        print_count(NAS_SAMPLE_RATE_HZ);
        print(" Hz, for which the model was made\n");
        return 2;
    }
    uint32_t bytes;
    while ((bytes = read_file(file, samples, sizeof samples)) >= 2)
        nas_push_samples(samples, bytes / 2);

    float score = 0;
    int32_t verdict = nas_score(&score);
    if (verdict != NAS_NORMAL && verdict != NAS_ANOMALY) {
        print(verdict == NAS_NO_SCORE ? "the sound is too short\n" : "the model has no threshold\n");
        return 2;
    }
    print_score(score);
    print(verdict == NAS_ANOMALY ? " anomaly, " : " normal, ");
    print_count(nas_clipped());
    print(" input values cut off\n");
    return verdict;
}
