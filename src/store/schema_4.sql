-- The share of clips that the int8 model decides rightly; of those that steer, and of those that only judge.
ALTER TABLE evaluations ADD COLUMN accuracy_int8 REAL;
ALTER TABLE evaluations ADD COLUMN test_accuracy_int8 REAL;
