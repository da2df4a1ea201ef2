mod checking;
mod conditions;
mod generator;
mod reading;
