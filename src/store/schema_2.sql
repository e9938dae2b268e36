-- What was seen when the model of a trial ran as firmware; the latest measurement of a place replaces the one before.
CREATE TABLE measurements (
    run_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    place TEXT NOT NULL,               -- qemu-m7, qemu-m55 or the name of a chip
    outputs_match INTEGER NOT NULL CHECK (outputs_match IN (0, 1)),
    instructions INTEGER,              -- of one inference, in an emulator
    cycles INTEGER,                    -- of one inference
    cycles_source TEXT,                -- `estimated` from scheduled instructions, or `measured` on a board
    hop_instructions INTEGER,          -- of one hop of the front end with what it leads to
    arena_bytes INTEGER NOT NULL,
    front_end_bytes INTEGER,           -- state of the front end
    stack_bytes INTEGER NOT NULL,
    text_bytes INTEGER NOT NULL,
    rodata_bytes INTEGER NOT NULL,
    data_bytes INTEGER NOT NULL,
    bss_bytes INTEGER NOT NULL,
    model_bytes INTEGER NOT NULL,
    version TEXT NOT NULL,             -- of the program that measured
    measured_utc TEXT NOT NULL,
    PRIMARY KEY (run_id, number, place),
    FOREIGN KEY (run_id, number) REFERENCES trials (run_id, number),
    CHECK ((cycles IS NULL) = (cycles_source IS NULL))
) STRICT, WITHOUT ROWID;
