//! Try.
use proofmark_browser::*;
use proofmark_kernels::*;
struct Print;
impl Opens for Print { fn open(&mut self, url: &str) -> Result<(), String> { println!("URL {url}"); std::fs::write("/tmp/w/b7/url", url).unwrap(); Ok(()) } }
fn main() {
    let d = WebGpuDevice::open("webgpu-chromium", Browsing::default(), Box::new(Print)).unwrap();
    println!("{:#?}", d.identity());
    println!("{:?}", d.stages());
    let mut b = Builder::new(Binding::default());
    let x = b.input("x", Kind::Float, &[128.into(), 128.into()]).unwrap();
    let w = b.weight("w", &[128, 128]).unwrap();
    let y = b.linear(x, w, None, Activation::Gelu).unwrap();
    b.output("y", y).unwrap();
    let g = b.finish().unwrap();
    let ws = Weights::seeded(1);
    let mut p = d.prepare(&g, &ws, Precision::F32).unwrap();
    let input = Tensor::f32([128, 128], (0..128 * 128).map(|i| (i % 17) as f32 / 17.0).collect());
    let out = p.run(&[input.clone()]).unwrap().0.to_vec();
    let r = evaluate(&g, &ws, &[input.clone()]).unwrap();
    let e = out[0].to_f64().iter().zip(&r[0].data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("error {e}");
    println!("{:?}", p.run_times(&[input.clone()], 10));
    println!("{:?} {:?}", p.stages(), p.run_timed(&[input]).unwrap());
}
