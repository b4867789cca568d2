// What the player's pace says of frames that took so long: node pace.mjs CODE MS SPENT...
//
// Prints a JSON list: for each frame, MS apart, whether networks ran, whether it rests, their median.

const [, , code, frameMs, ...spent] = process.argv;
const { Pace } = await import(`${code}player/pace.js`);

const pace = new Pace(Number(frameMs));
let now = 0;
const rows = spent.map((each) => {
  const runs = pace.mayRun(now);
  if (runs) pace.took(now, Number(each));
  now += Number(frameMs);
  return [runs, pace.resting, pace.networksMs];
});
process.stdout.write(JSON.stringify(rows));
