-- A store of version 2: a search of ten trials by the formula, one over budget, one failed.
PRAGMA foreign_keys = OFF;
PRAGMA application_id = 1851880241;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE costs (
    run_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    target TEXT NOT NULL,
    metric TEXT NOT NULL,
    source TEXT NOT NULL,              -- estimated, emulated or measured: rows of their own
    value REAL NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    PRIMARY KEY (run_id, number, target, metric, source),
    FOREIGN KEY (run_id, number) REFERENCES trials (run_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "costs" VALUES(1,0,'m7','energy_uj','estimated',477.6586956,2.36267287709149627523e+02,9.65676762511282845476e+02);
INSERT INTO "costs" VALUES(1,0,'m7','flash_bytes','estimated',724940.0,7.21245386488413205367e+05,7.28634613511586794621e+05);
INSERT INTO "costs" VALUES(1,0,'m7','latency_us','estimated',2211.38285,1.82850440828592763868e+03,2.67443386360675822285e+03);
INSERT INTO "costs" VALUES(1,0,'m7','ram_bytes','estimated',18808.0,1.85942502397662174189e+04,1.90217497602337825808e+04);
INSERT INTO "costs" VALUES(1,0,'u55','energy_uj','estimated',76.210087538,3.76490798045516825718e+01,1.54266119456323394848e+02);
INSERT INTO "costs" VALUES(1,0,'u55','flash_bytes','estimated',609900.0,500976.850021265,718823.149978735);
INSERT INTO "costs" VALUES(1,0,'u55','latency_us','estimated',1869.65922,1.07702366236768784805e+03,3.24563491135037611467e+03);
INSERT INTO "costs" VALUES(1,0,'u55','ram_bytes','estimated',17600.0,1.64486935421009729902e+04,1.87513064578990270095e+04);
INSERT INTO "costs" VALUES(1,1,'m7','energy_uj','estimated',3.53045087999999935841e+01,1.72953015354128822878e+01,72.0662972575067);
INSERT INTO "costs" VALUES(1,1,'m7','flash_bytes','estimated',87742.0,8.40520998333288152978e+04,9.14319001666711847053e+04);
INSERT INTO "costs" VALUES(1,1,'m7','latency_us','estimated',163.4468,1.26676088921141470676e+02,2.10891073901646564081e+02);
INSERT INTO "costs" VALUES(1,1,'m7','ram_bytes','estimated',10568.0,1.03542502397662156002e+04,1.07817497602337843999e+04);
INSERT INTO "costs" VALUES(1,1,'u55','energy_uj','estimated',6.507977065,3.46356994020292452418e+00,1.22283557744714084232e+01);
INSERT INTO "costs" VALUES(1,1,'u55','flash_bytes','estimated',81794.0,4.90143198740439183912e+04,1.14573680125956074335e+05);
INSERT INTO "costs" VALUES(1,1,'u55','latency_us','estimated',282.33985,2.09782443384056790599e+02,3.79992670559584155409e+02);
INSERT INTO "costs" VALUES(1,1,'u55','ram_bytes','estimated',9360.0,8.21510524501157669841e+03,1.05048947549884233009e+04);
INSERT INTO "costs" VALUES(1,2,'m7','energy_uj','estimated',135.3328992,6.61945106366978563983e+01,2.76684477756734679585e+02);
INSERT INTO "costs" VALUES(1,2,'m7','flash_bytes','estimated',107422.0,1.03732099833328815291e+05,1.11111900166671184709e+05);
INSERT INTO "costs" VALUES(1,2,'m7','latency_us','estimated',626.5412,4.81385878594050325334e+02,8.15466121365970138864e+02);
INSERT INTO "costs" VALUES(1,2,'m7','ram_bytes','estimated',16760.0,1.65462502397662174192e+04,1.69737497602337825816e+04);
INSERT INTO "costs" VALUES(1,2,'u55','energy_uj','estimated',2.01629493759999967039e+01,1.04173262021454569035e+01,3.90258037091524059283e+01);
INSERT INTO "costs" VALUES(1,2,'u55','flash_bytes','estimated',100850.0,6.79842534245759161403e+04,1.33715746575424098406e+05);
INSERT INTO "costs" VALUES(1,2,'u55','latency_us','estimated',1.0058854399999999032e+03,7.99899825048816069282e+02,1.26491528903915582309e+03);
INSERT INTO "costs" VALUES(1,2,'u55','ram_bytes','estimated',15552.0,1.44070616435807551166e+04,1.66969383564192430636e+04);
INSERT INTO "costs" VALUES(1,3,'m7','energy_uj','estimated',94.611888,4.65447768811566646701e+01,1.92318235272247250126e+02);
INSERT INTO "costs" VALUES(1,3,'m7','flash_bytes','estimated',134078.0,1.30388099833328815297e+05,1.37767900166671170155e+05);
INSERT INTO "costs" VALUES(1,3,'m7','latency_us','estimated',438.018,3.48229212016668952865e+02,5.50958281796347591795e+02);
INSERT INTO "costs" VALUES(1,3,'m7','ram_bytes','estimated',16888.0,1.66742502397662174188e+04,1.71017497602337825808e+04);
INSERT INTO "costs" VALUES(1,3,'u55','energy_uj','estimated',14.787488438,8.09209482306675909057e+00,2.70226460620133615e+01);
INSERT INTO "costs" VALUES(1,3,'u55','flash_bytes','estimated',124642.0,91079.1896283997,1.58204810371600295185e+05);
INSERT INTO "costs" VALUES(1,3,'u55','latency_us','estimated',599.18022,4.65121923413766239722e+02,7.71877045494309413711e+02);
INSERT INTO "costs" VALUES(1,3,'u55','ram_bytes','estimated',15680.0,1.45348470145871342534e+04,1.6825152985412867565e+04);
INSERT INTO "costs" VALUES(1,4,'m7','energy_uj','estimated',206.335908,1.00910796343279557168e+02,4.21902397691461942489e+02);
INSERT INTO "costs" VALUES(1,4,'m7','flash_bytes','estimated',110226.0,1.06533292456746668899e+05,1.13918707543253331098e+05);
INSERT INTO "costs" VALUES(1,4,'m7','latency_us','estimated',9.55258833333333313899e+02,7.33435335981775665464e+02,1.2441716316270249081e+03);
INSERT INTO "costs" VALUES(1,4,'m7','ram_bytes','estimated',16984.0,1.67702502397662174191e+04,1.7197749760233782581e+04);
INSERT INTO "costs" VALUES(1,4,'u55','energy_uj','estimated',29.456748789,1.50718903600449749546e+01,5.75707511460203917846e+01);
INSERT INTO "costs" VALUES(1,4,'u55','flash_bytes','estimated',105838.0,7.28993227976592897887e+04,1.38776677202340710212e+05);
INSERT INTO "costs" VALUES(1,4,'u55','latency_us','estimated',1507.11341,1.20077676461192822893e+03,1.89160125140821241979e+03);
INSERT INTO "costs" VALUES(1,4,'u55','ram_bytes','estimated',15776.0,1.46309140818261712406e+04,1.69210859181738269398e+04);
INSERT INTO "costs" VALUES(1,5,'m7','energy_uj','estimated',74.038158,36.2845097024147,1.51074077753575494393e+02);
INSERT INTO "costs" VALUES(1,5,'m7','flash_bytes','estimated',101932.0,9.82373864884131617163e+04,1.05626613511586838281e+05);
INSERT INTO "costs" VALUES(1,5,'m7','latency_us','estimated',342.76925,266.24222070746,4.41292738745062820262e+02);
INSERT INTO "costs" VALUES(1,5,'m7','ram_bytes','estimated',16776.0,1.65622502397662174191e+04,1.6989749760233782581e+04);
INSERT INTO "costs" VALUES(1,5,'u55','energy_uj','estimated',11.274634688,5.94493524324668,2.13824679574526115293e+01);
INSERT INTO "costs" VALUES(1,5,'u55','flash_bytes','estimated',97596.0,6.47778862746500890337e+04,1.30414113725349918246e+05);
INSERT INTO "costs" VALUES(1,5,'u55','latency_us','estimated',527.34272,4.13212884671074618834e+02,6.72995336431398072808e+02);
INSERT INTO "costs" VALUES(1,5,'u55','ram_bytes','estimated',15568.0,1.44230784131653381333e+04,1.67129215868346618668e+04);
INSERT INTO "costs" VALUES(1,6,'m7','energy_uj','estimated',1.74444289200000014262e+02,8.56448452391647094793e+01,3.55313970730108451344e+02);
INSERT INTO "costs" VALUES(1,6,'m7','flash_bytes','estimated',135948.0,1.32253386488413176267e+05,1.39642613511586823732e+05);
INSERT INTO "costs" VALUES(1,6,'m7','latency_us','estimated',807.61245,6.33966229520547358338e+02,1.02882115643332213035e+03);
INSERT INTO "costs" VALUES(1,6,'m7','ram_bytes','estimated',17880.0,1.76662502397662174186e+04,1.80937497602337825806e+04);
INSERT INTO "costs" VALUES(1,6,'u55','energy_uj','estimated',24.748387576,1.3196627922330463889e+01,4.64120600517582460042e+01);
INSERT INTO "costs" VALUES(1,6,'u55','flash_bytes','estimated',132844.0,9.89938194650309160379e+04,1.66694180534969083962e+05);
INSERT INTO "costs" VALUES(1,6,'u55','latency_us','estimated',1128.44344,8.97365007517108551841e+02,1.41902635673561871958e+03);
INSERT INTO "costs" VALUES(1,6,'u55','ram_bytes','estimated',16672.0,1.55251626793655523217e+04,1.7818837320634447678e+04);
INSERT INTO "costs" VALUES(1,7,'m7','energy_uj','estimated',133.7523048,6.59692643833115681655e+01,2.71182030094573860872e+02);
INSERT INTO "costs" VALUES(1,7,'m7','flash_bytes','estimated',186386.0,1.82693292456746683456e+05,1.90078707543253316546e+05);
INSERT INTO "costs" VALUES(1,7,'m7','latency_us','estimated',6.19223633333333282283e+02,5.00948398739823744577e+02,7.6542396191524619555e+02);
INSERT INTO "costs" VALUES(1,7,'m7','ram_bytes','estimated',17432.0,1.72182502397662174188e+04,1.76457497602337825808e+04);
INSERT INTO "costs" VALUES(1,7,'u55','energy_uj','estimated',20.804859413,1.14795552218899938874e+01,3.77054830808533338873e+01);
INSERT INTO "costs" VALUES(1,7,'u55','flash_bytes','estimated',170926.0,1.34397524293504946402e+05,2.07454475706495053595e+05);
INSERT INTO "costs" VALUES(1,7,'u55','latency_us','estimated',736.62797,5.44728729594590618031e+02,9.96130251088760132905e+02);
INSERT INTO "costs" VALUES(1,7,'u55','ram_bytes','estimated',16224.0,1.50781274067331924016e+04,1.73698725932668094178e+04);
INSERT INTO "costs" VALUES(1,8,'m7','energy_uj','estimated',5.77903950000000122579e+02,2.85168933771577371768e+02,1.17114080769091674486e+03);
INSERT INTO "costs" VALUES(1,8,'m7','flash_bytes','estimated',582156.0,5.78461386488413205385e+05,5.85850613511586794639e+05);
INSERT INTO "costs" VALUES(1,8,'m7','latency_us','estimated',2.67548125000000027286e+03,2.17187041608466688551e+03,3.2958687894492286433e+03);
INSERT INTO "costs" VALUES(1,8,'m7','ram_bytes','estimated',18040.0,1.78262502397662174185e+04,1.82537497602337825813e+04);
INSERT INTO "costs" VALUES(1,8,'u55','energy_uj','estimated',8.84688526520000095842e+01,4.84777315079707520322e+01,1.6145016786262803521e+02);
INSERT INTO "costs" VALUES(1,8,'u55','flash_bytes','estimated',498252.0,4.10366390793429687599e+05,5.86137609206570312381e+05);
INSERT INTO "costs" VALUES(1,8,'u55','latency_us','estimated',3053.86188,2.19575651550305110497e+03,4.24731627403620223045e+03);
INSERT INTO "costs" VALUES(1,8,'u55','ram_bytes','estimated',16832.0,1.56841140126301743298e+04,1.79798859873698274897e+04);
INSERT INTO "costs" VALUES(1,9,'m7','energy_uj','estimated',72.5479236,3.55277882028262936842e+01,1.48143227735543121063e+02);
INSERT INTO "costs" VALUES(1,9,'m7','flash_bytes','estimated',91608.0,8.79168637142473307927e+04,9.52991362857526692117e+04);
INSERT INTO "costs" VALUES(1,9,'m7','latency_us','estimated',3.35870016666666685971e+02,2.59785787252207228453e+02,434.237258661688);
INSERT INTO "costs" VALUES(1,9,'m7','ram_bytes','estimated',10696.0,1.04822502397662155998e+04,1.09097497602337843995e+04);
INSERT INTO "costs" VALUES(1,9,'u55','energy_uj','estimated',1.15063172799999975377e+01,6.04872062949365396633e+00,2.18881554394271162769e+01);
INSERT INTO "costs" VALUES(1,9,'u55','flash_bytes','estimated',86560.0,5.37511675914853694849e+04,1.19368832408514630519e+05);
INSERT INTO "costs" VALUES(1,9,'u55','latency_us','estimated',543.4032,4.26239999100198758714e+02,6.92771768002995600018e+02);
INSERT INTO "costs" VALUES(1,9,'u55','ram_bytes','estimated',9488.0,8.34304263834848461572e+03,1.06329573616515153839e+04);
INSERT INTO "costs" VALUES(1,10,'m7','energy_uj','estimated',1.60664688000000040798e+02,7.87656420595158124342e+01,3.27720834810599058071e+02);
INSERT INTO "costs" VALUES(1,10,'m7','flash_bytes','estimated',133054.0,1.2936409983332881529e+05,1.36743900166671170158e+05);
INSERT INTO "costs" VALUES(1,10,'m7','latency_us','estimated',7.43818000000000097322e+02,5.78909729459110508273e+02,9.55702053307912819963e+02);
INSERT INTO "costs" VALUES(1,10,'m7','ram_bytes','estimated',17144.0,1.69302502397662174189e+04,1.73577497602337825813e+04);
INSERT INTO "costs" VALUES(1,10,'u55','energy_uj','estimated',23.656695076,1.25157855982714298907e+01,4.47146699282013102569e+01);
INSERT INTO "costs" VALUES(1,10,'u55','flash_bytes','estimated',123426.0,8.99699735049124574293e+04,1.56882026495087542571e+05);
INSERT INTO "costs" VALUES(1,10,'u55','latency_us','estimated',1106.11844,8.81003249495942100145e+02,1.38875538087747872856e+03);
INSERT INTO "costs" VALUES(1,10,'u55','ram_bytes','estimated',15936.0,1.47906860692369100437e+04,1.70813139307630917755e+04);
CREATE TABLE evaluations (
    key TEXT NOT NULL PRIMARY KEY,
    auc_int8 REAL,
    pauc_int8 REAL,
    auc_float REAL,
    pauc_float REAL,
    test_auc_int8 REAL,
    test_pauc_int8 REAL,
    details_json TEXT NOT NULL,
    artefacts TEXT,                    -- folder of the trained network
    seconds REAL NOT NULL,
    created_utc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "evaluations" VALUES('formula-0a2f423722a337da3fbbf3d4eb07a23b-15-10210111917901498659',8.36913337900238363253e-01,6.68456668950119237138e-01,8.36913337900238363253e-01,6.68456668950119237138e-01,8.36913337900238363253e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.013513949,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-1301f9a06aa44f212d040514ef7da500-15-15514029171500517772',8.41891595673030845858e-01,6.70945797836515422929e-01,8.41891595673030845858e-01,6.70945797836515422929e-01,8.41891595673030845858e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.015854113,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-202485be1322e63960bf929e1b594f60-15-2617138770932880296',7.80829346922673139808e-01,6.40414673461336514392e-01,7.80829346922673139808e-01,6.40414673461336514392e-01,7.80829346922673139808e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.006995873,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-631e4ab8bc61b2d72e032bae1fce8af8-15-6703723152499527565',8.07453777207245759761e-01,6.53726888603622935391e-01,8.07453777207245759761e-01,6.53726888603622935391e-01,8.07453777207245759761e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.008969269,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-6726c69eb4784ea98f2d4cd9994095de-15-8751946829261089007',8.2170593670051161883e-01,6.60852968350255753904e-01,8.2170593670051161883e-01,6.60852968350255753904e-01,8.2170593670051161883e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.014775861,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-6d496ae2cf83d7d9f225a110f7624cf7-15-2621398629539319791',8.32287125801971838789e-01,0.666143562900986,8.32287125801971838789e-01,0.666143562900986,8.32287125801971838789e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.011851018,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-95363b7406de7842c8a2cbd2ace0c839-15-12470466155404042058',8.3473406724548915303e-01,6.67367033622744632026e-01,8.3473406724548915303e-01,6.67367033622744632026e-01,8.3473406724548915303e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.012399864,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-a228870d870636ec379284211820024b-15-15463817549623045373',8.1890663043889511119e-01,6.59453315219447500084e-01,8.1890663043889511119e-01,6.59453315219447500084e-01,8.1890663043889511119e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.015597677,'2026-11-28T01:57:51Z');
INSERT INTO "evaluations" VALUES('formula-d3961ed28c73012b9fdee3676639d401-15-1884223108010114701',8.14074498972618409986e-01,6.57037249486309260504e-01,8.14074498972618409986e-01,6.57037249486309260504e-01,8.14074498972618409986e-01,NULL,'{"epochs":15,"groups":[],"notes":[]}',NULL,0.010834018,'2026-11-28T01:57:51Z');
CREATE TABLE fronts (
    run_id INTEGER NOT NULL,
    target TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (run_id, target, number),
    FOREIGN KEY (run_id, number) REFERENCES trials (run_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "fronts" VALUES(1,'m7',6);
INSERT INTO "fronts" VALUES(1,'m7',9);
INSERT INTO "fronts" VALUES(1,'u55',5);
INSERT INTO "fronts" VALUES(1,'u55',6);
INSERT INTO "fronts" VALUES(1,'u55',9);
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
INSERT INTO "measurements" VALUES(1,2,'qemu-m55',1,123456,NULL,NULL,789,4096,2048,1024,40000,5000,16,64,90000,'0.1.0','2026-11-28T00:00:00Z');
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_utc TEXT NOT NULL,
    seed INTEGER NOT NULL,             -- 64 bits, unsigned seeds stored as the same bits
    version TEXT NOT NULL,             -- of the program that began the run
    data_name TEXT NOT NULL,
    data_hash TEXT NOT NULL,
    synthetic INTEGER NOT NULL CHECK (synthetic IN (0, 1)),
    settings_json TEXT NOT NULL,       -- all that is needed to run it again
    reference_json TEXT NOT NULL,      -- reference points of the hypervolume
    state TEXT NOT NULL CHECK (state IN ('running', 'interrupted', 'finished'))
) STRICT;
INSERT INTO "runs" VALUES(1,'old','2026-11-28T01:57:50Z',4,'0.1.0','formula','formula',1,'{
  "settings_version": 1,
  "data": "synthetic",
  "facts": {
    "classes": 3,
    "shortest_clip_s": 10.0,
    "log_mel": null
  },
  "spaces": [
    {
      "name": "dense-ae",
      "text": "# Dense autoencoder over a few concatenated frames, after the DCASE Task 2 baseline\n# (640-128x4-8-128x4-640). Widths are multiples of 8: smaller steps save nothing on an NPU or with SIMD.\nname = \"dense-ae\"\nfamily = \"dense-autoencoder\"\ndescription = \"dense autoencoder over a few frames of log-mel\"\n\n[front_end]\nsample_rate_hz = 16000\nn_mels = [32, 64, 128]\nn_fft = [1024, 2048]\nhop_length = [512, 1024]\nframes = [2, 3, 5, 8]\nframe_stride = [1, 2, 4]\n\n[axes]\ndepth = [1, 2, 3, 4]                       # hidden layers on each side of the bottleneck\nwidth = [16, 24, 32, 48, 64, 96, 128, 192] # of the outermost hidden layer\nshrink = [0.5, 0.75, 1.0]                  # each layer''s width relative to the one outside it\nbottleneck = [8, 16, 24, 32]\n\n[training]\nepochs = 15\nbatch_size = 128\nlearning_rate = 0.003\nwindows_per_epoch = 12288\nmacs_per_epoch = 2.5e9\nrecipe.outlier_exposure = 1      # where there are known outliers, see docs/training.md\n"
    }
  ],
  "targets": [
    {
      "name": "u55",
      "text": "format = 1\nname = \"u55\"\ndescription = \"Alif Ensemble E7 RTSS-HE, Ethos-U55-128 beside a Cortex-M55, 160 MHz, weights in MRAM\"\nnotes = [\n    \"Compute-bound networks: about 15 %. Fully connected networks stream their weights from MRAM, whose bandwidth decides; not calibrated on silicon.\",\n    \"The front end runs on the Cortex-M55.\",\n    \"Energy is unvalidated: no power figure of this chip is public.\",\n]\n\n[[memories]]\nname = \"SRAM0\"\nbytes = { value = 4194304, unit = \"B\", source = \"alif_ensemble-cmsis-dfp app_mem_regions.h\" }\nholds = [\"ram\"]\n\n[[memories]]\nname = \"HE DTCM\"\nbytes = { value = 262144, unit = \"B\", source = \"alif_ensemble-cmsis-dfp app_mem_regions.h\" }\nholds = [\"ram\"]\n\n[[memories]]\nname = \"MRAM\"\nbytes = { value = 5767168, unit = \"B\", source = \"alif_ensemble-cmsis-dfp app_mem_regions.h\" }\nholds = [\"flash\"]\n\n[cpu]\ncore = \"cortex-m55\"\nclock = { value = 160, unit = \"MHz\", source = \"Alif Ensemble E7, RTSS-HE (alif_ensemble-cmsis-dfp)\" }\nactive_power = { value = 17.9, unit = \"mW\", error = 1.0, source = \"0.112 mW/MHz measured on Apollo510 at 250 MHz (MLPerf Tiny KWS, Ambiq); Alif publishes no power; unvalidated\" }\nidle_power = { value = 0.5, unit = \"mW\", error = 9.0, source = \"assumed: no figure of this chip is public; a factor of ten either way; unvalidated\" }\nwhole_network = { value = 0.86, unit = \"factor\", error = 0.08, source = \"end-to-end MLPerf Tiny KWS against the sum of its layers on Apollo510: 0.81 to 0.88\" }\n\n[cpu.cycles]\nconv_mac = { value = 0.203, unit = \"cycles/MAC\", error = 0.05, source = \"fit to 7 convolutions on Apollo510 and Alif E8 silicon, CMSIS-NN with Helium; leave-one-out 3.2 %\" }\nconv_output = { value = 17.5, unit = \"cycles/output\", error = 0.05, source = \"same fit\" }\nconv_tap = { value = 37, unit = \"cycles/tap\", error = 0.05, source = \"same fit; taps = kernel height x width x output pixels\" }\npointwise_mac = { value = 0.203, unit = \"cycles/MAC\", error = 0.05, source = \"same fit, without the tap term\" }\npointwise_output = { value = 17.5, unit = \"cycles/output\", error = 0.05, source = \"same fit\" }\ndepthwise_mac = { value = 3.33, unit = \"cycles/MAC\", error = 0.14, source = \"3x3 kernels on Apollo510 (TCM) and Alif (SRAM): 2.95 to 3.80; other kernel sizes are not measured\" }\nfully_connected_mac = { value = 0.49, unit = \"cycles/MAC\", error = 0.15, source = \"one kernel, 512 x 256, on Apollo510: arm_nn_vec_mat_mult_t_s8 with Helium, 69,076 cycles\" }\nfully_connected_output = { value = 17, unit = \"cycles/output\", error = 0.15, source = \"same, split as for convolutions\" }\npool_input = { value = 1.85, unit = \"cycles/input\", error = 0.3, source = \"AVERAGE_POOL_2D 25 x 5 x 64 on Apollo510: 14,771 cycles; small windows cost more\" }\nadd_output = { value = 15, unit = \"cycles/output\", error = 0.15, source = \"ADD on Apollo510: 13.3 to 15 cycles per element\" }\nupsample_output = { value = 2, unit = \"cycles/output\", error = 1.0, source = \"not measured: copies with index arithmetic\" }\nop = { value = 600, unit = \"cycles/op\", error = 0.3, source = \"one-operator TFLite Micro models: invoke minus kernel, median 495 to 598 cycles (MicroNAS records, Cortex-M4 and M33)\" }\nweight_byte = { value = 0.13, unit = \"cycles/B\", error = 0.6, source = \"inferred, not measured: 0.3 to 0.5 cycles per byte on Cortex-M85 at 480 MHz when weights stream from flash (MLPerf Tiny AD), scaled to 160 MHz\" }\nfft_point = { value = 0.44, unit = \"cycles/(n log2 n)\", error = 0.25, source = \"nas-kernels on Cortex-M55, kernels built for Helium: instructions of 36 front ends counted in QEMU (calibration/front_end.csv), fitted within 4 %, left-out transform lengths within 10 %; times 1.13 cycles per instruction (LLVM scheduling model); not measured on silicon\" }\nmel_bin = { value = 74, unit = \"cycles/bin\", error = 0.25, source = \"same fit; whatever grows with the spectrum but for the butterflies, which share this term with the one above\" }\nlog_band = { value = 44, unit = \"cycles/band\", error = 0.25, source = \"same fit; rounding to int8 included\" }\ndct_mac = { value = 2.8, unit = \"cycles/MAC\", error = 0.25, source = \"same fit\" }\n\n[npu]\nmacs_per_cycle = { value = 128, unit = \"MAC/cycle\", source = \"Ethos-U55 configuration of this subsystem (Alif Ensemble E7)\" }\nclock = { value = 160, unit = \"MHz\", source = \"same clock as the CPU of its subsystem (Alif Ensemble vela.ini)\" }\nweights_in = \"flash\"\ncycles = { value = 1, unit = \"factor\", error = 0.15, source = \"Vela 5.2 is met within 1 % (95th percentile, benches/vela.rs); Vela lies within 11 % of silicon where networks are bound by compute\" }\nweight_encoding = { value = 1, unit = \"factor\", error = 0.2, source = \"before training, against Vela 5.2: within 8 % (95th percentile) on random weights, 16 % on trained MLPerf Tiny networks; pruned weights compress far better\" }\ncommand_stream = { value = 1, unit = \"factor\", error = 0.25, source = \"sizes of 538 networks compiled by Vela 5.2: half within 4 %, 95 % within 23 %\" }\nstart_cycles = { value = 6000, unit = \"cycles\", error = 2.0, source = \"estimate: Alif silicon takes 22,000 cycles more than the simulated NPU for KWS MicroNet-M, RA8P1 none\" }\nactive_power = { value = 31, unit = \"mW\", error = 1.0, source = \"1.5 pJ/MAC on top of the CPU (Himax WE2, uNPU-Bench) at full use; unvalidated for this chip\" }\n\n[npu.sram]\nbandwidth = { value = 8.0, unit = \"B/cycle\", error = 0.2, source = \"Alif vela.ini HE_SRAM_MRAM: SRAM clock scale 1.0 of 8 B\" }\nburst = { value = 8, unit = \"B\", source = \"Alif vela.ini HE_SRAM_MRAM\" }\nread_latency = { value = 13, unit = \"cycles\", source = \"Alif vela.ini HE_SRAM_MRAM\" }\nwrite_latency = { value = 13, unit = \"cycles\", source = \"Alif vela.ini HE_SRAM_MRAM\" }\n\n[npu.flash]\nbandwidth = { value = 2.42, unit = \"B/cycle\", error = 1.0, source = \"Alif vela.ini HE_SRAM_MRAM: MRAM clock scale 0.303 of 8 B; not checked on silicon, where a wrong figure once cost a factor of 3 (RA8P1)\" }\nburst = { value = 16, unit = \"B\", source = \"Alif vela.ini HE_SRAM_MRAM\" }\nread_latency = { value = 24, unit = \"cycles\", source = \"Alif vela.ini HE_SRAM_MRAM\" }\n\n[runtime]\nname = \"Ethos-U driver and int8 kernels\"\ncode_bytes = { value = 65536, unit = \"B\", error = 0.5, source = \"estimate until the firmware is linked: NPU driver, kernels for operators that fall back, front end, boot\" }\nstack_bytes = { value = 2048, unit = \"B\", error = 0.5, source = \"painted peak stack of small int8 firmware in QEMU: 440 to 1,092 B; the front end adds frames\" }\nstate_bytes = { value = 1024, unit = \"B\", error = 0.5, source = \"estimate: interpreter state, vector table, counters\" }\n"
    },
    {
      "name": "m7",
      "text": "format = 1\nname = \"m7\"\ndescription = \"STM32H743, Cortex-M7 at 480 MHz, int8 kernels of this project\"\nnotes = [\n    \"Cycles are estimated: instructions counted exactly in QEMU, as LLVM 22 schedules them, with memory that answers at once and branches that are predicted. No board was at hand.\",\n    \"Weights in flash and activations in AXI SRAM reach the core through its caches; what misses them is not in these cycles.\",\n    \"Activations must fit into 512 KiB of AXI SRAM; the other memories of the chip are not counted.\",\n    \"A layer with dead channels takes slower arithmetic: up to 40 % more instructions.\",\n]\n\n[[memories]]\nname = \"AXI SRAM\"\nbytes = { value = 524288, unit = \"B\", source = \"probe-rs targets/STM32H7_Series.yaml\" }\nholds = [\"ram\"]\n\n[[memories]]\nname = \"DTCM\"\nbytes = { value = 131072, unit = \"B\", source = \"probe-rs targets/STM32H7_Series.yaml\" }\nholds = [\"ram\"]\n\n[[memories]]\nname = \"flash\"\nbytes = { value = 2097152, unit = \"B\", source = \"probe-rs targets/STM32H7_Series.yaml\" }\nholds = [\"flash\"]\n\n[cpu]\ncore = \"cortex-m7\"\nclock = { value = 480, unit = \"MHz\", source = \"STM32H743 maximum clock (RM0433)\" }\nactive_power = { value = 216, unit = \"mW\", error = 1.0, source = \"0.45 to 0.57 mW/MHz measured on STM32H7A3 (MLPerf Tiny), no figure of this chip; unvalidated\" }\nidle_power = { value = 1.0, unit = \"mW\", error = 9.0, source = \"assumed: no figure at hand for the Stop mode of this chip; a factor of ten either way\" }\nwhole_network = { value = 1.0, unit = \"factor\", error = 0.2, source = \"assumed: the estimate of cycles was not compared with silicon, and caches miss where it has memory that answers at once\" }\n\n[cpu.cycles]\nmax_pool_tap = { value = 137.3, unit = \"cycles/tap\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nconv_step = { value = 14.58, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nconv_scale = { value = 73.48, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nconv_group = { value = 337.2, unit = \"cycles/group\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nconv_window = { value = 226.1, unit = \"cycles/window\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nconv_window_row = { value = 58.39, unit = \"cycles/row\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nconv_window_step = { value = 4.771, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nconv_window_byte = { value = 8.032, unit = \"cycles/B\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nchannel = { value = 31.05, unit = \"cycles/channel\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\ndepthwise_layer = { value = 1923.0, unit = \"cycles/layer\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\ndepthwise_step = { value = 23.3, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\ndepthwise_pixel = { value = 58.78, unit = \"cycles/pixel\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\ndepthwise_row = { value = 110.3, unit = \"cycles/row\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\ndepthwise_border = { value = 278.9, unit = \"cycles/border\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\ndepthwise_tap = { value = 38.21, unit = \"cycles/tap\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\ndepthwise_padding = { value = 21.45, unit = \"cycles/tap\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nfully_connected_layer = { value = 564.5, unit = \"cycles/layer\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nfully_connected_step = { value = 19.44, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nfully_connected_row = { value = 102.9, unit = \"cycles/row\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nfully_connected_rest = { value = 4.16, unit = \"cycles/MAC\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nfully_connected_input = { value = 7.704, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nportable_mac = { value = 19.68, unit = \"cycles/MAC\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nportable_output = { value = 132.2, unit = \"cycles/output\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\npool_step = { value = 14.0, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\npool_input = { value = 4.872, unit = \"cycles/input\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\npool_row = { value = 191.9, unit = \"cycles/row\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\npool_output = { value = 32.98, unit = \"cycles/output\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nsoftmax_output = { value = 226.7, unit = \"cycles/output\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nadd_output = { value = 29.6, unit = \"cycles/output\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nlookup_output = { value = 5.948, unit = \"cycles/output\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nupsample_copy = { value = 8.511, unit = \"cycles/copy\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nupsample_step = { value = 24.08, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nop = { value = 378.8, unit = \"cycles/op\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\nweight_byte = { value = 0, unit = \"cycles/B\", error = 0.0, source = \"not counted: the estimate of cycles has memory that answers at once\" }\nfft_point = { value = 3.3, unit = \"cycles/(n log2 n)\", error = 0.25, source = \"nas-kernels on Cortex-M7, kernels built for SMLAD: instructions of 36 front ends counted in QEMU (calibration/front_end.csv), fitted within 4 %, left-out transform lengths within 10 %; times 1.13 cycles per instruction (LLVM scheduling model); not measured on silicon\" }\nmel_bin = { value = 57, unit = \"cycles/bin\", error = 0.25, source = \"same fit; whatever grows with the spectrum but for the butterflies, which share this term with the one above\" }\nlog_band = { value = 93, unit = \"cycles/band\", error = 0.25, source = \"same fit; rounding to int8 included\" }\ndct_mac = { value = 4.2, unit = \"cycles/MAC\", error = 0.25, source = \"same fit\" }\nfully_connected_unaligned = { value = 5.382, unit = \"cycles/step\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\npool_tap = { value = 14.13, unit = \"cycles/tap\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\npool_pixel = { value = 99.34, unit = \"cycles/pixel\", error = 0.06, source = \"fit to 535 estimates of cycles of 40 families (calibration/nas-m7.csv); root mean square of leave-family-out errors 6.0 %\" }\n\n[runtime]\nname = \"int8 kernels of this project\"\nkernels = \"nas\"\ncode_bytes = { value = 73764, unit = \"B\", error = 0.05, source = \"linked image of this project''s firmware for mps2-an500: vector table, text, rodata; all operators, front end, interpreter\" }\nstack_bytes = { value = 4272, unit = \"B\", error = 0.05, source = \"painted peak stack on an emulated Cortex-M7, from the reset to the score of a stream: MLPerf Tiny AD\" }\nconvolution_stack_bytes = { value = 5868, unit = \"B\", error = 0.05, source = \"painted peak stack on an emulated Cortex-M7, from the reset to the score of a stream: MLPerf Tiny KWS 5,808, ResNet-8 5,928\" }\nstate_bytes = { value = 8, unit = \"B\", error = 1.0, source = \"linked image: data and bss\" }\n\n[calibration]\ntable = \"calibration/nas-m7.csv\"\nterms = [\"conv_step\", \"conv_scale\", \"conv_group\", \"conv_window\", \"conv_window_row\", \"conv_window_step\", \"conv_window_byte\", \"channel\", \"depthwise_layer\", \"depthwise_step\", \"depthwise_pixel\", \"depthwise_row\", \"depthwise_border\", \"depthwise_tap\", \"depthwise_padding\", \"fully_connected_layer\", \"fully_connected_step\", \"fully_connected_unaligned\", \"fully_connected_row\", \"fully_connected_rest\", \"fully_connected_input\", \"portable_mac\", \"portable_output\", \"pool_step\", \"pool_input\", \"pool_tap\", \"pool_row\", \"pool_output\", \"pool_pixel\", \"max_pool_tap\", \"softmax_output\", \"add_output\", \"lookup_output\", \"upsample_copy\", \"upsample_step\", \"op\"]\nrows = 535\nfamilies = 40\nin_sample = 0.027\nleave_one_out = 0.0294\nleave_family_out = 0.0354\nkendall_tau = 0.985\n\n"
    }
  ],
  "budget": {
    "ram_bytes": null,
    "flash_bytes": 604160.0,
    "latency_us": null,
    "energy_uj": null,
    "macs": null
  },
  "objectives": [
    "auc",
    "latency",
    "ram"
  ],
  "sampler": "bayes",
  "seed": 4,
  "epochs": null,
  "device": "cpu-bf16",
  "trials": 10
}','[[0.5,3024.04313,17600.0],[0.5,2666.0436166666664,18808.0]]','finished');
CREATE TABLE trials (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    block INTEGER NOT NULL,            -- proposals of one block know the same history
    genome BLOB NOT NULL,
    key TEXT NOT NULL,                 -- hash of the network, equal for genomes that decode to the same one
    space TEXT NOT NULL,
    task TEXT NOT NULL,
    macs INTEGER NOT NULL,
    params INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('scored', 'rejected', 'failed')),
    evaluation_key TEXT REFERENCES evaluations (key),
    excess REAL,                       -- share of the budgets by which a rejected network is over them
    message TEXT,
    seconds REAL NOT NULL,
    recorded_utc TEXT NOT NULL,
    PRIMARY KEY (run_id, number),
    CHECK ((outcome = 'scored') = (evaluation_key IS NOT NULL)),
    CHECK ((outcome = 'rejected') = (excess IS NOT NULL)),
    CHECK ((outcome = 'scored') = (message IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "trials" VALUES(1,0,0,X'00020101030003070200','0b077e3efeabced590d9402cc7d3c969','dense-ae','reconstruct',617472,620040,'rejected',NULL,9.50079449152542443446e-03,'flash 596 KiB is 1 % over 590 KiB',0.0,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,1,0,X'00000000000000000200','6bdb9bc5ab67cad0d1eb4a94d6670e12','dense-ae','reconstruct',2304,2408,'failed',NULL,NULL,'the formula fails one time in 32',0.019365768,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,2,0,X'00000101000100040102','d3961ed28c73012b9fdee3676639d401','dense-ae','reconstruct',11264,11480,'scored','formula-d3961ed28c73012b9fdee3676639d401-15-1884223108010114701',NULL,NULL,0.010834018,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,3,0,X'00000101000000070003','202485be1322e63960bf929e1b594f60','dense-ae','reconstruct',36864,37344,'scored','formula-202485be1322e63960bf929e1b594f60-15-2617138770932880296',NULL,NULL,0.006995873,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,4,0,X'00010101010202010203','6726c69eb4784ea98f2d4cd9994095de','dense-ae','reconstruct',12672,13032,'scored','formula-6726c69eb4784ea98f2d4cd9994095de-15-8751946829261089007',NULL,NULL,0.014775861,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,5,0,X'00000100010003000201','a228870d870636ec379284211820024b','dense-ae','reconstruct',5120,5360,'scored','formula-a228870d870636ec379284211820024b-15-15463817549623045373',NULL,NULL,0.015597677,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,6,0,X'00020101020103010202','1301f9a06aa44f212d040514ef7da500','dense-ae','reconstruct',35328,36184,'scored','formula-1301f9a06aa44f212d040514ef7da500-15-15514029171500517772',NULL,NULL,0.015854113,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,7,0,X'00020101010002050002','6d496ae2cf83d7d9f225a110f7624cf7','dense-ae','reconstruct',86400,87144,'scored','formula-6d496ae2cf83d7d9f225a110f7624cf7-15-2621398629539319791',NULL,NULL,0.011851018,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,8,0,X'00020101020203070202','631e4ab8bc61b2d72e032bae1fce8af8','dense-ae','reconstruct',476160,478360,'scored','formula-631e4ab8bc61b2d72e032bae1fce8af8-15-6703723152499527565',NULL,NULL,0.008969269,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,9,1,X'00010001000201000202','0a2f423722a337da3fbbf3d4eb07a23b','dense-ae','reconstruct',5120,5328,'scored','formula-0a2f423722a337da3fbbf3d4eb07a23b-15-10210111917901498659',NULL,NULL,0.013513949,'2026-11-28T01:57:51Z');
INSERT INTO "trials" VALUES(1,10,1,X'00020100000200040201','95363b7406de7842c8a2cbd2ace0c839','dense-ae','reconstruct',34816,35216,'scored','formula-95363b7406de7842c8a2cbd2ace0c839-15-12470466155404042058',NULL,NULL,0.012399864,'2026-11-28T01:57:51Z');
CREATE VIEW front AS
SELECT
    runs.name AS run,
    fronts.target AS target,
    fronts.number AS trial,
    trials.space AS space,
    trials.task AS task,
    evaluations.auc_int8 AS auc_int8,
    evaluations.pauc_int8 AS pauc_int8,
    evaluations.auc_float AS auc_float,
    evaluations.test_auc_int8 AS test_auc_int8,
    trials.macs AS macs,
    trials.params AS params,
    max(costs.value) FILTER (WHERE costs.metric = 'ram_bytes') AS estimated_ram_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'flash_bytes') AS estimated_flash_bytes,
    max(costs.value) FILTER (WHERE costs.metric = 'latency_us') AS estimated_latency_us,
    max(costs.value) FILTER (WHERE costs.metric = 'energy_uj') AS estimated_energy_uj
FROM fronts
JOIN runs ON runs.id = fronts.run_id
JOIN trials ON trials.run_id = fronts.run_id AND trials.number = fronts.number
LEFT JOIN evaluations ON evaluations.key = trials.evaluation_key
LEFT JOIN costs ON costs.run_id = fronts.run_id AND costs.number = fronts.number
    AND costs.target = fronts.target AND costs.source = 'estimated'
GROUP BY fronts.run_id, fronts.target, fronts.number;
COMMIT;
