/* From reset to main() on a Cortex-M7 or Cortex-M55. */
#include <stdint.h>

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
int main(void);
void leave(int code);

static void fault(void)
{
    leave(3);
}

void reset(void)
{
    /* The compiler may use the floating-point unit anywhere: enable it first. */
    *(volatile uint32_t *)0xE000ED88 |= 0xF00000;
    __asm__ volatile("dsb\n isb" ::: "memory");
    uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;)
        *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;)
        *to++ = 0;
    leave(main());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, reset, fault, fault, fault, fault, fault, fault,
};
