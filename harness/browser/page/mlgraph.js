// placeholder
const no = async () => { throw new Error('not here yet'); };
export { no as probe, no as open, no as prepare, no as run, no as times, no as drop };
