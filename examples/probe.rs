use highwater::scenario::script::Script;
use highwater::sim::World;
fn main() {
    let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
    let script = Script::read(&text).unwrap();
    let mut w = World::boot({let mut s = script.setup(); s.cold = true; s}).unwrap();
    for i in 0..400 {
        let n = w.next();
        let s = w.step().unwrap();
        println!("{i} {} {:?} {:?}", w.now.0, n.unwrap().1, s.events.iter().map(|e| e.fact.text(&w)).collect::<Vec<_>>());
    }
}
